"""The data pipeline: from text files to token shards, and the dataset that the trainer reads."""
