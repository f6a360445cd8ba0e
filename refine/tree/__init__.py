"""Trees and rounds, with import and export."""
