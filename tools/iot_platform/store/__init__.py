"""What the platform knows, in SQLite: products, devices, topology, the record of what happened."""
