"""A person's own observed maps: read, compared with what an estimator was made for, estimated."""
