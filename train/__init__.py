"""Training: data, losses, resumable loops, finetuning and evaluation.

Modules here may import the `train` extra (optax, tensorboardX, tqdm, ...), which nothing outside this
package does. Start at `loop` (the training loop all models share) and `lm` (the language model's own run).
"""
