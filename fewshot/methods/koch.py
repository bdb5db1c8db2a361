"""The siamese network of Koch et al., as published."""

from __future__ import annotations

from fewshot.methods.siamese import Siamese


class KochSiamese(Siamese):
    """``p(same) = sigmoid(Σ_j α_j |f_j(x₁) − f_j(x₂)| + β)`` with the published network's units f.

    A query goes to the class of the picture it is likeliest the same as; with several pictures of
    a class, to the class of the highest mean logit, which the paper, of one picture each, leaves
    open. Nothing is learned from the support set.

    Koch, Zemel, Salakhutdinov: Siamese neural networks for one-shot image recognition, ICML deep
    learning workshop 2015, https://www.cs.cmu.edu/~rsalakhu/papers/oneshot1.pdf; the network:
    :class:`fewshot.encoders.koch.Koch`. With 39 million parameters, nearly all of them between
    the last feature maps and the units, it is slow and large for what it knows, and it asks for
    far more training than a laptop gives it.
    """

    name = "koch"
    title = "Siamese, Koch et al."
