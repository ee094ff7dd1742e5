"""What a run wrote, read back: its record, tables, picture and page."""
