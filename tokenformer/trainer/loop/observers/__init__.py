"""What happens around the steps of a run, one observer a matter."""
