"""Nobody sees anything without the token, no page may do more than it must, no foreign name reaches the server."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from sweeper.web.site import ROUTES, create_site
from sweeper.web.source import Source
from tests.web.conftest import HOME, PORT, TOKEN, visitor

PAGES = sorted({route.path for route in ROUTES} - {"/static/{name}"})


@pytest.fixture
def stranger(digits_url: str) -> TestClient:
    """A browser without the token."""
    return visitor(digits_url, token=None)


@pytest.mark.parametrize("path", PAGES)
def test_without_the_token_there_is_nothing_to_see(stranger: TestClient, path: str) -> None:
    answer = stranger.get(path, params={"study": "digits", "trial": "digits/0"})
    assert answer.status_code == 401
    assert "optimizer.lr" not in answer.text and "val/accuracy" not in answer.text and "sqlite" not in answer.text


def test_what_is_no_page_is_not_told_without_the_token_either(stranger: TestClient) -> None:
    assert stranger.get("/nothing/of/the/kind").status_code == 401


def test_the_token_opens_once_and_leaves_a_cookie_and_an_address_without_it(stranger: TestClient) -> None:
    answer = stranger.get("/study", params={"study": "digits", "sort": "-params.optimizer.lr", "token": TOKEN})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/study?study=digits&sort=-params.optimizer.lr"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"sweeper-{PORT}=") and "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert stranger.get(answer.headers["location"]).status_code == 200


@pytest.mark.parametrize(
    "token", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\ud800".encode("utf-8", "replace")]
)
def test_a_wrong_token_opens_nothing(stranger: TestClient, token: str | bytes) -> None:
    answer = stranger.get("/", params={"token": token})
    assert answer.status_code == 401 and "set-cookie" not in answer.headers
    assert "This token is not valid" in answer.text


@pytest.mark.parametrize("given", [{"Cookie": f"sweeper-{PORT}=guess"}, {"Authorization": "Bearer guess"}])
def test_a_guess_opens_nothing(stranger: TestClient, given: dict[str, str]) -> None:
    assert stranger.get("/", headers=given).status_code == 401
    assert stranger.get("/api/studies", headers=given).json()["error"].startswith("A token is needed.")


def test_another_start_of_the_server_knows_no_cookie_of_this_one(stranger: TestClient, digits_url: str) -> None:
    cookie = stranger.get("/", params={"token": TOKEN}).headers["set-cookie"].partition(";")[0]
    later = TestClient(create_site(Source.of(digits_url), "another token", port=PORT), base_url=HOME)
    assert later.get("/", headers={"Cookie": cookie}).status_code == 401


def test_who_enters_the_token_comes_to_where_they_wanted_to_go(stranger: TestClient) -> None:
    page = stranger.get("/study", params={"study": "a <b>", "where": 'x = "1"'}).text
    assert 'action="/study"' in page and 'value="a &lt;b&gt;"' in page and 'value="x = &#34;1&#34;"' in page


def test_the_way_in_leads_nowhere_else(stranger: TestClient) -> None:
    for path in ("//elsewhere.example/", "/\\elsewhere.example", "///elsewhere.example"):
        answer = stranger.get(HOME + path, params={"token": TOKEN})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/") and not answer.headers["location"].startswith(("//", "/\\"))


@pytest.mark.parametrize("path", ["/", "/study?study=digits", "/nothing", "/static/site.css", "/api/studies", "/file"])
@pytest.mark.parametrize("token", [TOKEN, None])
def test_every_answer_forbids_what_it_does_not_need(digits_url: str, path: str, token: str | None) -> None:
    headers = visitor(digits_url, token=token).get(path).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert (
        policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'" and policy["base-uri"] == "'none'"
    )
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_it_can_only_be_read(site: TestClient, method: str) -> None:
    assert site.request(method, "/").status_code == 405


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8585", "localhost:1", "[::1]:8585", "192.0.2.7", "LOCALHOST"])
def test_addresses_and_localhost_are_its_own(site: TestClient, host: str) -> None:
    assert site.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8585", "", "a@b", "[", "x:y"])
def test_a_name_that_somebody_else_points_here_is_refused(site: TestClient, host: str) -> None:
    assert site.get("/", headers={"Host": host}).status_code == 421


def test_a_name_that_was_allowed_is_known(digits_url: str) -> None:
    client = TestClient(create_site(Source.of(digits_url), TOKEN, hosts=["gpu.lab.example"]), base_url=HOME)
    assert (
        client.get("/", headers={"Host": "GPU.lab.example:80", "Authorization": f"Bearer {TOKEN}"}).status_code == 200
    )
    assert client.get("/", headers={"Host": "lab.example", "Authorization": f"Bearer {TOKEN}"}).status_code == 421


def test_pages_are_not_kept_by_browsers_and_scripts_are(site: TestClient) -> None:
    assert site.get("/").headers["cache-control"] == "no-store"
    assert "immutable" in site.get("/static/site.js").headers["cache-control"]
