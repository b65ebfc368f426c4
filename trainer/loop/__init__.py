"""Parts of the training loop: optimizer, loss, metric, callbacks, signals, pace; fits."""
