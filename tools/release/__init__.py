"""Builds what a release consists of into dist/: `make release`.

    mip/        what `mpremote mip install` reads from any static web server
    images/     file systems without product.json and wifi.json, one for each size of partition
    web/        manifests and a page for esp-web-tools, which flash a chip from a browser
    *.tar.gz    the sources, and the type stubs for editors
    sbom.cdx.json, SHA256SUMS, and notes.md: the changelog's section

The same commit gives the same bytes: all times are the commit's, everything is sorted.
"""
