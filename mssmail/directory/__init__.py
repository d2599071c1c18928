"""The health directory: extracts read, snapshots built and compared, people and boxes looked up."""
