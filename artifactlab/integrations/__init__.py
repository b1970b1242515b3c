"""Metrics, callbacks and pictures for the training loops of others; each module needs the package it is named after.

`torchmetrics` has metrics to accumulate over a validation set, `lightning` a callback that watches the upsampling
sites during training, `tensorboard` writes diagnoses and comparisons. Nothing is imported here, so that none of these
packages is needed until its module is used.
"""
