"""Pictures sent to a real S3 API on loopback, to memory and to folders; what fails leaves the links local."""

import hashlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import doc2x_rehost
import fsspec
import pytest
import requests
from doc2x_rehost import Storage
from moto.server import ThreadedMotoServer

from doc2x_sdk import Doc2X
from doc2x_sdk.formats.registry import Formats, new_manager
from doc2x_sdk.hookspecs import Context
from doc2x_sdk.markdown import image_links
from doc2x_sdk.testing import sample_bundle

PAPER = Path(__file__).parents[3] / "docs" / "examples" / "paper.pdf"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(server, monkeypatch, tmp_path):
    """A client of the S3 API with an empty bucket that counts: every upload of a name is a version of its own."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(doc2x_rehost.storage, "_storages", {})
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    requests.post(f"{server}/moto-api/reset", timeout=10)
    client = boto3.client("s3", endpoint_url=server)
    client.create_bucket(Bucket="pics")
    client.put_bucket_versioning(Bucket="pics", VersioningConfiguration={"Status": "Enabled"})
    yield client
    client.close()


def uploads(s3) -> list[str]:
    return sorted(each["Key"] for each in s3.list_object_versions(Bucket="pics").get("Versions", []))


def process(bundle, **options: str):
    context = Context(("md",), {"rehost": {"url": "", "public": "", "endpoint": ""} | options})
    doc2x_rehost.doc2x_process_bundle(bundle, context)
    return bundle


def name_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32] + ".jpg"


def test_pictures_go_to_s3_once_whatever_has_them(s3, server, tmp_path):
    where = {"url": "s3://pics/papers", "endpoint": server}
    first = process(sample_bundle("paper", tmp_path / "a"), **where)
    name = name_of(first.folder / "images/0_140_620_520_300_0.jpg")
    assert first.warnings == []
    assert first.links == {
        "images/0_140_620_520_300_0.jpg": f"s3://pics/papers/{name}",
        "images/1_90_200_400_260_0.jpg": f"s3://pics/papers/{name}",
    }
    process(sample_bundle("chinese", tmp_path / "b"), **where)
    process(sample_bundle("paper", tmp_path / "c", needs="md_dollar"), **where)
    assert uploads(s3) == [f"papers/{name}"], "all samples have the same picture: it was sent once"
    stored = s3.get_object(Bucket="pics", Key=f"papers/{name}")
    assert stored["ContentType"] == "image/jpeg"
    assert stored["Body"].read() == (first.folder / "images/1_90_200_400_260_0.jpg").read_bytes()


def test_a_later_run_sends_nothing_again(s3, server, tmp_path):
    picture = tmp_path / "a.JPG"
    picture.write_bytes(b"picture")
    links = {Storage("s3://pics", endpoint=server, public="https://cdn.x/p/").put(picture) for _ in range(2)}
    assert links == {f"https://cdn.x/p/{name_of(picture)}"}
    assert uploads(s3) == [name_of(picture)]


def test_threads_send_one_picture_once(s3, server, tmp_path):
    pictures = [tmp_path / f"{number}.jpg" for number in range(24)]
    for number, picture in enumerate(pictures):
        picture.write_bytes(b"picture %d" % (number % 3))
    storage = Storage("s3://pics/t", endpoint=server)
    with ThreadPoolExecutor(8) as pool:
        links = list(pool.map(storage.put, pictures))
    assert len(set(links)) == 3
    assert len(uploads(s3)) == 3


def test_a_bucket_that_is_not_there_leaves_local_links(s3, server, tmp_path):
    bundle = process(sample_bundle("paper", tmp_path / "a"), url="s3://nowhere/x", endpoint=server)
    assert bundle.links == {}
    (warning,) = bundle.warnings
    assert warning.startswith("the pictures stay local, s3://nowhere/x did not take them: ")
    s3.create_bucket(Bucket="nowhere")
    again = process(sample_bundle("paper", tmp_path / "b"), url="s3://nowhere/x", endpoint=server)
    assert len(again.links) == 2, "a failure is not remembered"
    again_bucket = s3.list_objects_v2(Bucket="nowhere")["KeyCount"]
    assert again_bucket == 1


def test_one_picture_that_fails_leaves_all_links_of_the_document_local(tmp_path):
    """The folder has a folder where the second picture's file should go."""
    bundle = sample_bundle("paper", tmp_path / "a")
    second = bundle.folder / "images/1_90_200_400_260_0.jpg"
    second.write_bytes(b"another picture")
    target = tmp_path / "pictures"
    (target / name_of(second) / "in the way").mkdir(parents=True)
    process(bundle, url=target.as_uri())
    assert bundle.links == {}
    assert len(bundle.warnings) == 1
    assert sorted(path.name for path in target.iterdir()) == sorted(
        [name_of(second), name_of(bundle.folder / "images/0_140_620_520_300_0.jpg")]
    ), "no draft is left"


def test_a_server_that_is_not_there_leaves_local_links(s3, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    bundle = process(sample_bundle("paper", tmp_path / "a"), url="s3://pics", endpoint=f"http://127.0.0.1:{port}")
    assert bundle.links == {}
    assert "stay local" in bundle.warnings[0]


@pytest.mark.parametrize("url", ["nonsense://x", "https://user:hunter2@127.0.0.1:1/x?sig=hunter2"])
def test_what_is_no_storage_leaves_local_links_and_tells_no_password(url, tmp_path):
    bundle = process(sample_bundle("paper", tmp_path / "a"), url=url)
    assert bundle.links == {}
    assert len(bundle.warnings) == 1
    assert "hunter2" not in bundle.warnings[0]


def test_memory_and_folders(tmp_path):
    memory = process(sample_bundle("paper", tmp_path / "a"), url="memory://pics/x")
    name = name_of(memory.images[0])
    assert set(memory.links.values()) == {f"memory:///pics/x/{name}"} or set(memory.links.values()) == {
        f"memory://pics/x/{name}"
    }
    with fsspec.open(next(iter(memory.links.values()))) as file:
        assert file.read() == memory.images[0].read_bytes()
    folder = process(sample_bundle("paper", tmp_path / "b"), url=str(tmp_path / "a b" / "pics"))
    assert set(folder.links.values()) == {(tmp_path / "a b" / "pics" / name).as_uri()}
    assert (tmp_path / "a b" / "pics" / name).read_bytes() == folder.images[0].read_bytes()


def test_nothing_from_outside_the_bundle_is_sent(tmp_path):
    bundle = process(sample_bundle("hostile", tmp_path / "a"), url=(tmp_path / "pics").as_uri())
    assert (bundle.links, bundle.warnings) == ({}, [])
    assert not (tmp_path / "pics").exists()


@pytest.mark.parametrize("needs", ["tex", "docx"])
def test_other_formats_and_runs_without_a_target_are_left_alone(needs, tmp_path):
    assert process(sample_bundle("paper", tmp_path / "a", needs=needs), url=(tmp_path / "p").as_uri()).links == {}
    assert process(sample_bundle("paper", tmp_path / "b")).links == {}
    assert not (tmp_path / "p").exists()


def test_a_conversion_publishes_the_new_links(s3, server, tmp_path):
    """The whole way: two formats of one document by the engine on this machine, pictures to S3, links in both."""
    manager = new_manager()
    manager.register(doc2x_rehost, "doc2x-rehost")
    options = {"rehost": {"url": "s3://pics/p", "public": f"{server}/pics/p", "endpoint": server}}
    with Doc2X.local(formats=Formats(manager)) as client:
        done = client.convert(PAPER, to=["md", "md_dollar"], out=tmp_path / "out", options=options)
        wrong = {"rehost": {"url": "s3://nowhere", "endpoint": server}}
        local = client.convert(PAPER, to=["md"], out=tmp_path / "local", options=wrong)
    s3.put_bucket_policy(
        Bucket="pics",
        Policy='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",'
        '"Resource":"arn:aws:s3:::pics/*"}]}',
    )
    for name in ("md", "md_dollar"):
        links = [link.url for link in image_links(done.files[name].read_text(encoding="utf-8"))]
        assert links
        for link in links:
            assert requests.get(link, timeout=10).content.startswith(b"\xff\xd8")
    assert len(uploads(s3)) == len(set(uploads(s3))) == len(set(links))
    assert not list((tmp_path / "out").glob("*_images"))
    (picture,) = {link.url for link in image_links(local.files["md"].read_text(encoding="utf-8"))}
    assert (tmp_path / "local" / picture).is_file()
    assert any("stay local" in warning for warning in local.warnings)
