"""Metrics, callbacks and pictures for the training loops of others; each module needs the package it is named after.

`monitor` watches the upsampling layers during a training and needs no package; `lightning`, `transformers` and `ignite`
have it as those trainers take it. `torchmetrics` has metrics to accumulate over a validation set, `tensorboard` writes
diagnoses and comparisons. Nothing is imported here, so that none of these packages is needed until its module is used.
"""
