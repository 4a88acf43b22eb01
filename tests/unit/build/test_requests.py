"""Which prompts schedules are compared on."""

from pathlib import Path

import pytest

from recache_ray.build.requests import evaluation_requests, prompt_set, requests_of
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError


def config(folder: Path, **evaluation: object) -> Config:
    file = folder / "prompts.txt"
    file.write_text("\n".join(f"prompt {index}" for index in range(20)))
    prompts = {"file": str(file), "num_train": 4, "num_validation": 5, "num_test": 6}
    return load_config({"prompts": prompts, "evaluation": {"calibration_prompts": 2, **evaluation}}, runs=False)


def test_further_prompts_come_after_those_of_the_split_and_nothing_was_learned_from_them(tmp_path: Path) -> None:
    prompts = prompt_set(config(tmp_path))
    assert evaluation_requests(config(tmp_path)) == requests_of(prompts.test)
    more = evaluation_requests(config(tmp_path, further_prompts=3))
    assert more[:6] == requests_of(prompts.test) and len(set(more)) == 9
    seen = {prompt.text for prompt in (*prompts.train, *prompts.validation)}
    assert not seen & {request.prompt.text for request in more}
    assert len(evaluation_requests(config(tmp_path, further_prompts=5))) == 11


def test_more_than_there_are_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"^evaluation\.further_prompts = 6: 5 prompts are in no split; [^\n]*$"):
        evaluation_requests(config(tmp_path, further_prompts=6))
