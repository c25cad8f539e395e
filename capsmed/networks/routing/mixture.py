"""Shares of lower capsules in a mixture of Gaussians: what EM and variational Bayes both do."""

from __future__ import annotations

from torch import Tensor

from capsmed.networks.layers.votes import Votes

#: Added to what a higher capsule receives: its mean stays finite where nothing reaches it.
LEAST_AMOUNT = 1e-8

#: Where learned biases start: a higher capsule that receives nothing has activation 0.12.
LOGIT_OF_NOTHING = -2.0


def weigh(votes: Votes, assignments: Tensor | None) -> tuple[Tensor, Tensor]:
    r"""Weights of the lower capsules in each higher one, and how much it receives in all.

    .. math:: r_j = \sum_i R_{ij} a_i, \quad w_{ij} = R_{ij} a_i / r_j

    Where nothing reaches a higher capsule, all lower capsules weigh alike.

    Args:
        votes: the votes, with activations a.
        assignments: R, ``[batch, out, in]``; None in the first pass, where it is the same for all
            higher capsules that a lower one votes for.

    Returns:
        Weights ``[batch, out, in]``, which sum to one over ``in``, and amounts ``[batch, out]``.

    Raises:
        ValueError: the votes have no activations.
    """
    if votes.activations is None:
        raise ValueError("votes of a mixture: expected activations, got None")
    if assignments is None:
        batch, lower, _ = votes.poses.shape
        assignments = votes.share(votes.poses.new_zeros(batch, votes.out_capsules, lower))
    parts = assignments * votes.activations.to(assignments.dtype).unsqueeze(1)
    amounts = parts.sum(2)
    least = LEAST_AMOUNT / parts.shape[2]
    return (parts + least) / (amounts + LEAST_AMOUNT).unsqueeze(2), amounts
