"""What the package is measured beside: a naive script, micropython-lib, the vendor's SDK."""
