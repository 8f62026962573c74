"""Label files: one format a module, read into codes per frame."""
