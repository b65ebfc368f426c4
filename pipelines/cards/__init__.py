"""The parts of a dataset's card; the command is `pipelines.card`."""
