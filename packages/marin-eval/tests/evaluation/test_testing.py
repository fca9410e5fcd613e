import pytest

from marin.evaluation.testing import check_scoring_backend
from marin.plugins.testing import ConformanceError, write_distribution

FAULTY = """
from dataclasses import replace
from marin.evaluation.uniform import UniformEngine

class Engine(UniformEngine):
    def score(self, requests):
        {before}
        scores = super().score(requests)
        {after}
        return scores

class Backend:
    def open(self, model):
        return Engine(int(model))

BACKEND = Backend()
"""


@pytest.mark.parametrize("model", ["8", "100", "50257"])
def test_the_uniform_engine_conforms(model):
    check_scoring_backend("uniform", model=model)


@pytest.mark.parametrize(
    ("case", "before", "after", "message"),
    [
        ("missing", "", "scores = scores[:2]", "3 requests gave 2 scores"),
        ("shifted", "", "scores = [replace(s, log_probs=s.log_probs[1:]) for s in scores]", "gave 1 log-probs"),
        ("bits", "", "scores = [replace(s, log_probs=[v / 0.7 for v in s.log_probs]) for s in scores]", "sum to 0"),
        ("negated", "", "scores = [replace(s, log_probs=[-v for v in s.log_probs]) for s in scores]", "at most 0"),
        ("never", "", "scores = [replace(s, is_greedy=False) for s in scores]", "no next token is greedy"),
        ("always", "", "scores = [replace(s, is_greedy=True) for s in scores]", "more than one next token is greedy"),
        (
            "batched",
            "",
            "scores = [replace(s, log_probs=[v - len(scores) for v in s.log_probs]) for s in scores]",
            "scored alone and in a batch",
        ),
        (
            "open_vocabulary",
            "requests = [replace(r, continuation=tuple(min(t, 9) for t in r.continuation)) for r in requests]",
            "",
            "the token id 10 is not in the vocabulary of 10 tokens, but it is scored",
        ),
    ],
)
def test_a_faulty_engine_is_found_out(tmp_path, monkeypatch, case, before, after, message):
    module = f"acme_scoring_{case}"
    points = {"marin.eval.engines": {"faulty": f"{module}:BACKEND"}}
    source = FAULTY.format(before=before, after=after)
    write_distribution(tmp_path, "acme-scoring", entry_points=points, modules={f"{module}.py": source})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConformanceError, match=message):
        check_scoring_backend("faulty", model="10")


def test_a_model_too_small_for_the_checks_is_refused():
    with pytest.raises(ConformanceError, match="the model has 7 tokens; give one of at least 8"):
        check_scoring_backend("uniform", model="7")
