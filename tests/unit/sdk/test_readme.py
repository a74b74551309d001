"""The SDK's README is a program: its blocks run one after the other, and its test passes."""

import re
from pathlib import Path
from typing import Any

README = Path(__file__).parents[3] / "sdk" / "python" / "README.md"


async def test_the_examples_in_the_readme_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 5
    module: dict[str, Any] = {"__name__": "readme"}
    exec(compile("\n".join(blocks), str(README), "exec"), module)
    await module["test_an_order_is_charged_after_its_approval"]()
    sandbox = module["Sandbox"](module["app"])
    assert await (await sandbox.start(module["nightly"])).result() == 3
    reserved = await sandbox.call_step("reserve-stock", {"id": "o1", "total_cents": 1})
    assert reserved["reservation"].endswith("/reserve-stock")
