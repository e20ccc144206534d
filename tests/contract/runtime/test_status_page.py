"""
The page at ``/``: what a person sees in a real browser, and what the page may never do.
"""

import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testkit.browsers import Page, chromium
from testkit.model_servers import ModelServer, running

MARKUP = '<img src=x onerror="document.title=1">'
LONG = "recommendation-ranking-two-tower-model.with-a-really-long-name.europe-west.production"
NAMES = ("half_plus_two", "sums", "shapes", "kinds", "broken", "nowhere")
METRICS = "/monitoring/prometheus/metrics"
# What a person sees at least as well as this is contrast enough for small text (WCAG 2, AA).
CONTRAST = """
(() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const colour = numbers(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter(node => node.offsetParent && [...node.childNodes]
      .some(child => child.nodeType === 3 && child.textContent.trim()))
    .filter(node => !["SCRIPT", "OPTION"].includes(node.tagName))
    .map(node => {
      const [a, b] = [light(numbers(getComputedStyle(node).color)), light(ground(node))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent];
    })
    .filter(([ratio]) => ratio < 4.5);
})()
"""


@pytest.fixture(scope="module")
def shown(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    A server with models of awkward names, one that fails, and one that is not there.
    """
    folder = tmp_path_factory.mktemp("shown")
    places = {
        **{name: models / name for name in NAMES},
        MARKUP: models / "sums",
        LONG: models / "half_plus_two",
    }
    configs = [
        f'config {{ name: {json.dumps(name)} base_path: "{path}" model_platform: "tensorflow" '
        + (
            "model_version_policy { all {} } version_labels { key: 'stable' value: 1 } }"
            * (name == NAMES[0])
            or "}"
        )
        for name, path in places.items()
    ]
    config = folder / "models.config"
    config.write_text("model_config_list {" + "\n".join(configs) + "}")
    with running(folder, f"--model_config_file={config}") as server:
        for name in ("half_plus_two", "sums", "shapes", "kinds"):
            server.wait_state(name, 1, "AVAILABLE")
        server.wait_state("half_plus_two", 2, "AVAILABLE")
        server.wait_state(urllib.parse.quote(MARKUP), 1, "AVAILABLE")
        server.wait_state(LONG, 2, "AVAILABLE")
        server.wait_state("broken", 1, "END")
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """
    A real Chromium.
    """
    with chromium(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(browser: Page, shown: ModelServer) -> Iterator[Page]:
    """
    The page as somebody opens it anew; nothing may go wrong in it.
    """
    browser.problems.clear()
    browser.look(1200, 900)
    browser.open("about:blank")
    browser.open(f"http://127.0.0.1:{shown.rest_port}/#half_plus_two")
    browser.wait("document.querySelector('#body') && document.querySelector('#body').value")
    yield browser
    assert browser.problems == []


def _choose(page: Page, name: str) -> None:
    page.run(f"location.hash = {json.dumps(urllib.parse.quote(name, safe=''))}")
    page.wait(f"document.querySelector('#title').textContent === {json.dumps(name)}")


def _pick(page: Page, field: str, value: str) -> None:
    page.run(
        f"(() => {{ const field = document.querySelector('#{field}'); "
        f"field.value = {json.dumps(value)}; field.dispatchEvent(new Event('change')); }})()"
    )


def _send(page: Page) -> str:
    page.run("document.querySelector('#answer').replaceChildren()")
    page.run("document.querySelector('#send').click()")
    page.wait(
        "document.querySelector('#answer').innerText && !document.querySelector('#send').disabled"
    )
    return page.text("#answer")


def test_the_page_allows_nothing_from_elsewhere(server: ModelServer) -> None:
    """
    The policy lets the page's own style and script run, and lets it ask its own server alone.
    """
    answer = server.get("/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["script-src"].startswith("'sha256-")
    assert "unsafe" not in answer.headers["content-security-policy"]
    text = answer.body.decode()
    assert f'<meta name="metrics-path" content="{METRICS}">' in text
    assert "//" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "innerHTML" not in text


def test_the_page_is_off_with_a_flag(models: Path, tmp_path: Path) -> None:
    """
    ``--status_page=false`` leaves nothing at ``/``.
    """
    base = f"--model_base_path={models}/half_plus_two"
    with running(tmp_path, base, "--status_page=false") as server:
        answer = server.wait(lambda: server.get("/"), "an answer")
    assert (answer.status, answer.error) == (404, "There is nothing at /.")


def test_metrics_may_be_asked_for_by_name(server: ModelServer) -> None:
    """
    ``?name[]=`` gives the named metrics alone, as the page needs no more.
    """
    text = server.get(f"{METRICS}?name[]=modeldeploy_requests_total&name%5B%5D=process_open_fds")
    kinds = [line for line in text.body.decode().splitlines() if line.startswith("# TYPE")]
    assert kinds == ["# TYPE modeldeploy_requests_total counter", "# TYPE process_open_fds gauge"]


@pytest.mark.long
@pytest.mark.requirement("row-7")
def test_models_versions_and_errors_are_shown(page: Page) -> None:
    """
    Every model has its state in words, every version its state, labels and error.
    """
    states = page.run(
        "Object.fromEntries([...document.querySelectorAll('#models a')]"
        ".map(link => ['.name', '.pill'].map(part => link.querySelector(part).textContent)))"
    )
    available = dict.fromkeys(("sums", "shapes", "kinds", MARKUP, LONG), "Available")
    expected = {"half_plus_two": "2 available", "broken": "Failed", "nowhere": "No version"}
    assert states == {**available, **expected}
    rows = page.text("#versions").splitlines()
    assert [row.split("\t")[0] for row in rows if row.startswith(("1\t", "2\t"))] == ["2", "1"]
    assert "stable" in page.text("#versions")
    assert page.text("#ready") == "Not ready"
    assert "nowhere: " in page.text("#reasons")
    _choose(page, "broken")
    page.wait("document.querySelector('#versions').innerText.includes('END (failed)')")
    assert "saved_model.pb" in page.text(".reason")
    assert page.run("document.querySelector('#trying').hidden")
    _choose(page, "nowhere")
    page.wait("!document.querySelector('#noversion').hidden")


@pytest.mark.long
def test_names_are_text_and_never_markup(page: Page) -> None:
    """
    A model whose name is markup is shown by that name, and nothing of it comes to life.
    """
    _choose(page, MARKUP)
    page.wait("document.querySelector('#to').textContent.includes('%3Cimg')")
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("document.title") == f"{MARKUP} – model server"
    assert "200 OK" in _send(page)


@pytest.mark.long
def test_signatures_are_shown(page: Page) -> None:
    """
    Each signature shows its inputs and outputs with types, shapes and what may be left out.
    """
    _choose(page, "sums")
    page.wait("document.querySelectorAll('#signatures details').length === 2")
    rows = page.run(
        "[...document.querySelectorAll('#signatures tbody tr')]"
        ".map(row => [...row.children].map(cell => cell.textContent).join(' ').trim())"
    )
    assert rows == [
        "input by DT_FLOAT () may be left out over gRPC",
        "input x DT_FLOAT (?)",
        "output y DT_FLOAT (?)",
        "input a DT_FLOAT (?, 2)",
        "input b DT_FLOAT (?)",
        "output doubled DT_FLOAT (?, 2)",
        "output sum DT_FLOAT (?)",
    ]


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "signature", "answer"),
    [
        ("half_plus_two", "serving_default", {"predictions": [3.5, 4.0, 5.5]}),
        ("sums", "serving_default", {"predictions": [{"sum": 3.0, "doubled": [2.0, 2.0]}]}),
        ("sums", "scaled", {"outputs": [1.0]}),
        ("shapes", "scalar", {"outputs": 1.0}),
        (
            "shapes",
            "text",
            {"predictions": [{"same": "text", "same_bytes": {"b64": "dGV4dA=="}}]},
        ),
        ("kinds", "int64", {"predictions": [1, 2, 5]}),
        ("kinds", "bool", {"predictions": [True]}),
    ],
)
def test_the_example_is_answered(page: Page, model: str, signature: str, answer: Any) -> None:
    """
    What stands in the form before anybody has typed is a request that the model answers.
    """
    _choose(page, model)
    page.wait(f"document.querySelector('#signature').dataset.model === {json.dumps(model)}")
    _pick(page, "signature", signature)
    said = _send(page)
    assert said.startswith("200 OK")
    assert " ms" in said
    assert f"answered by version {'2' if model == 'half_plus_two' else '1'}" in said
    assert json.loads(page.text("#answer pre")) == answer


@pytest.mark.long
def test_what_cannot_be_sent_is_said(page: Page) -> None:
    """
    A signature that REST cannot call says why in place of an example.
    """
    _choose(page, "shapes")
    page.wait("document.querySelector('#signature').dataset.model === 'shapes'")
    _pick(page, "signature", "constant")
    assert page.text("#hint") == "This signature takes no inputs, and REST cannot call it."
    _choose(page, "kinds")
    page.wait("document.querySelector('#signature').dataset.model === 'kinds'")
    _pick(page, "signature", "complex64")
    assert page.text("#hint") == "REST cannot send DT_COMPLEX64, the type of x; use gRPC."


@pytest.mark.long
@pytest.mark.requirement("row-5")
def test_a_version_or_label_is_chosen(page: Page) -> None:
    """
    The form asks the version or label that a person picks, and says which version answered.
    """
    for place, version in (("versions/1", "1"), ("labels/stable", "1"), ("", "2")):
        _pick(page, "place", place)
        page.wait(
            f"document.querySelector('#to').textContent.includes({json.dumps(place)} + ':predict')"
        )
        assert f"answered by version {version}" in _send(page)


@pytest.mark.long
def test_an_error_is_shown_and_typed_text_stays(page: Page) -> None:
    """
    A wrong request shows the server's status and words; updates never touch what was typed.
    """
    page.run("document.querySelector('#body').select(), document.querySelector('#body').focus()")
    page.type('{"instances": ["x"]}')
    said = _send(page)
    assert said.startswith("400")
    assert "is not of expected type: float" in said
    before = page.text("#updated")
    page.wait(f"document.querySelector('#updated').innerText !== {json.dumps(before)}")
    assert page.run("document.querySelector('#body').value") == '{"instances": ["x"]}'
    assert page.run("document.activeElement.id") == "body"


@pytest.mark.long
@pytest.mark.requirement("row-16")
def test_rates_follow_the_requests(page: Page, shown: ModelServer) -> None:
    """
    Requests and failures a second appear while they come, and the page needs no reload.
    """
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.02):
            shown.predict("half_plus_two/versions/1", {"instances": ["x"]})

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        page.wait("Number(document.querySelector('#failures').textContent) > 1")
        page.wait(
            "Number(document.querySelector('#versions tr:last-child').children[4].textContent) > 1"
        )
    finally:
        stop.set()
        asking.join()


@pytest.mark.long
def test_keys_are_enough(page: Page) -> None:
    """
    Tab reaches every control in order, Enter follows a model, and Control and Enter send.
    """
    reached = []
    for _ in range(40):
        page.press("Tab", 9)
        reached.append(page.run("document.activeElement.id || document.activeElement.tagName"))
    wanted = ["pause", "A", "SUMMARY", "place", "signature", "body", "send", "again"]
    places = [reached.index(name) for name in wanted]
    assert places == sorted(places)
    page.run("document.querySelector('#models a[href$=sums]').focus()")
    page.press("Enter", 13)
    page.wait("document.querySelector('#title').textContent === 'sums'")
    page.wait("document.activeElement.id === 'title'")
    page.wait("document.querySelector('#body').value.includes('instances')")
    page.run("document.querySelector('#body').focus()")
    page.press("Enter", 13, modifiers=2)
    page.wait("document.querySelector('#answer').innerText.includes('200 OK')")


@pytest.mark.long
def test_a_screen_reader_finds_its_way(page: Page) -> None:
    """
    Every control has a name, and regions, headings and live parts are what they seem.
    """
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"]
    ]
    controls = {"button", "combobox", "textbox", "searchbox", "link", "image", "navigation"}
    assert [node for node in nodes if node[0] in controls and not node[1]] == []
    for node in (
        ("navigation", "Models"),
        ("heading", "half_plus_two"),
        ("heading", "Versions"),
        ("combobox", "Version"),
        ("combobox", "Signature"),
        ("textbox", "Request"),
        ("button", "Send"),
    ):
        assert node in nodes
    assert {role for role, _ in nodes} >= {
        "main",
        "banner",
        "contentinfo",
        "status",
        "columnheader",
    }


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("model", ["half_plus_two", "broken", LONG])
def test_it_reads_well(page: Page, scheme: str, model: str, tmp_path: Path) -> None:
    """
    In light and dark, wide and on a phone, text has contrast and nothing is wider than the window.
    """
    _choose(page, model)
    for width in (1280, 375):
        page.look(width, 800, scheme)
        assert page.run(CONTRAST) == []
        assert page.run("document.documentElement.scrollWidth") <= width
        page.picture(tmp_path / f"{width}.png")
        assert (tmp_path / f"{width}.png").stat().st_size > 10_000


@pytest.mark.long
def test_a_server_that_is_gone_is_told(browser: Page, models: Path, tmp_path: Path) -> None:
    """
    When the server ends, the page says so, and goes on when it is back.
    """
    with running(tmp_path, f"--model_base_path={models}/half_plus_two") as server:
        server.wait_ready()
        browser.open(f"http://127.0.0.1:{server.rest_port}/")
        browser.wait("document.querySelector('#ready')?.textContent === 'Ready'")
        server.end()
        browser.wait("document.querySelector('#ready').textContent === 'No answer'")
        assert "is asked again" in browser.text("#lost")
        server.start()
        server.wait_ready()
        browser.wait("document.querySelector('#ready').textContent === 'Ready'")
        browser.wait("document.querySelector('#lost').hidden")
