"""Compares ways of training: grids of runs, their statistics, and the page that answers."""
