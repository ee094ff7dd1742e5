"""The complexity measures, one idea a file."""
