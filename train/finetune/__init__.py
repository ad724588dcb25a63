"""Finetuning a bundle's language model, whole or through adapters, on any number of devices; also training one anew."""
