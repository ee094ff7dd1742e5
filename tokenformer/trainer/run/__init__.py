"""Everything that is known before a run starts: plan, checks, starting point."""
