"""Several searches run as one: each is asked and told what it would be alone."""

from recache_ray.learning import moves
from recache_ray.learning.judges import Judges
from recache_ray.learning.memo import RewardMemo
from recache_ray.learning.polish import LocalSearch
from recache_ray.learning.side_by_side import SideBySide
from recache_ray.learning.validation import start_searches
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.testing.synthetic_rewards import SegmentReward
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt

REQUESTS = [GenerationRequest(Prompt(index, f"prompt {index}"), 0) for index in range(6)]
REWARD = SegmentReward(12, seed=1)
STARTS = {k: [moves.evenly_spaced(12, k)] for k in (3, 5)}


def reward(place, schedule):
    return REWARD(REQUESTS[place], schedule).reward


def alone(places, evaluations, seed):
    """The rounds and the outcome of a search on the requests at these places."""
    search, rounds = LocalSearch(STARTS, range(len(places)), [], evaluations, seed), []
    while pairs := search.propose():
        rounds.append({(places[number], schedule) for number, schedule in pairs})
        search.observe({(number, schedule): reward(places[number], schedule) for number, schedule in pairs})
    return rounds, search.best(), search.spent


def test_each_search_asks_for_what_it_would_alone_and_finds_the_same():
    parts = ([0, 1], [2, 3, 4], [5])
    both = SideBySide([LocalSearch(STARTS, range(len(part)), [], 40, seed) for seed, part in enumerate(parts)])
    rounds = []
    while pairs := both.propose():
        rounds.append(set(pairs))
        both.observe({pair: reward(*pair) for pair in pairs})
    expected = [alone(part, 40, seed) for seed, part in enumerate(parts)]
    for part, (own, best, _), leading in zip(parts, expected, both.leading(), strict=True):
        mine = [{pair for pair in asked if pair[0] in part} for asked in rounds]
        assert [asked for asked in mine if asked] == own and leading == best
    assert both.spent == sum(spent for *_, spent in expected) <= both.evaluations == 120
    assert len({tuple(sorted(best.items())) for _, best, _ in expected}) > 1


def test_a_failure_is_told_to_the_search_it_belongs_to():
    both = SideBySide([LocalSearch(STARTS, range(2), [], 20, seed) for seed in range(2)])
    start = STARTS[3][0]
    both.observe({pair: None if pair == (3, start) else -1.0 for pair in both.propose()})
    asked = both.propose()
    assert all(schedule != start for number, schedule in asked if number >= 2)
    assert both.leading()[0][3] == start


def test_evaluations_are_shared_out_to_the_last_and_seeds_differ():
    juries = [Judges.evenly(REQUESTS[:2]), Judges.evenly(REQUESTS[2:4]), Judges.evenly(REQUESTS[4:])]
    policy, memo = BudgetPolicy(12, [3, 5]), RewardMemo(MechanismSpec("reuse"))
    made = start_searches(policy, memo, 0, juries, [], evaluations=101, seed=0)
    assert [search.evaluations for search in made.searches] == [34, 34, 33]
    assert len({search.starts[5][2:] for search in made.searches}) == 3
