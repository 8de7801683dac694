"""The guards of the flow: source, upload, wait, export, download, unpack and publish."""

from __future__ import annotations

from tests.guards import Guard

__all__ = ["GUARDS"]

UPLOAD = "flow/test_upload_faults.py::"
WAIT = "flow/test_wait_faults.py::"
DOWNLOAD = "flow/test_download_faults.py::"
ARCHIVE = "flow/test_archives.py::"
DISK = "flow/test_disk_faults.py::"
SECRET = "flow/test_flow_secrets.py::"

UPLOADS = [
    Guard(
        "UP-01",
        UPLOAD + "test_a_lost_answer_to_the_upload_is_settled_by_the_status",
        "flow/upload.py",
        "            if is_stored(service, slot.uid, settings=settings, clock=clock):\n                return\n",
        "",
    ),
    Guard(
        "UP-01",
        UPLOAD + "test_a_refused_key_in_the_status_is_no_reason_for_a_second_upload",
        "flow/upload.py",
        " and not isinstance(error, AuthError)  # the store, not the API",
        "",
        case="403",
    ),
    Guard(
        "UP-02",
        UPLOAD + "test_an_upload_that_broke_off_is_sent_again_from_its_first_byte",
        "flow/upload.py",
        "self._position = self._file.seek(0)",
        "self._position = 0",
    ),
    Guard(
        "UP-03",
        UPLOAD + "test_what_can_be_read_only_once_is_sent_twice_in_full",
        "flow/upload.py",
        "            body.seek(0)\n",
        "",
    ),
    Guard(
        "UP-04",
        UPLOAD + "test_an_empty_file_is_told_before_any_request",
        "flow/source.py",
        "    if size == 0:\n",
        "    if size < 0:\n",
    ),
    Guard(
        "UP-05",
        UPLOAD + "test_a_file_that_changes_while_it_is_sent_is_not_converted",
        "flow/upload.py",
        "        else:\n            body.check_unchanged()\n",
        "        else:\n",
        case="grow",
    ),
    Guard(
        "UP-05",
        UPLOAD + "test_a_change_that_no_time_of_the_file_shows_is_noticed_by_its_bytes",
        "flow/upload.py",
        "self._digest.hexdigest() != self._source.sha256",
        "False",
    ),
    Guard(
        "UP-06",
        UPLOAD + "test_a_redirected_upload_is_an_error_and_not_followed",
        "service/session.py",
        "def get_redirect_target(self, resp: requests.Response) -> None:",
        "def not_used(self, resp: requests.Response) -> None:",
        more=(("allow_redirects=False", "allow_redirects=True"),),
    ),
    Guard(
        "UP-07",
        UPLOAD + "test_a_link_that_has_expired_is_replaced_by_a_new_one",
        "flow/upload.py",
        "if not refused or attempt == NEW_LINKS:",
        "if error.status:",
    ),
    Guard(
        "UP-08",
        UPLOAD + "test_trouble_in_the_store_is_tried_again_at_the_same_url",
        "service/session.py",
        "Resend.UNTIL_WHOLE, ANY_FAILURE",
        "Resend.UNTIL_WHOLE, frozenset()",
    ),
    Guard(
        "UP-08",
        UPLOAD + "test_trouble_that_stays_is_settled_by_the_status",
        "service/v2.py",
        'sent="all",',
        'sent="part",',
    ),
    Guard(
        "UP-09",
        UPLOAD + "test_the_store_is_sent_no_key_and_no_cookie",
        "service/session.py",
        "requests.Request(method, url.reveal(), **options)",
        "requests.Request(method, url.reveal(), auth=Bearer(self._key), **options)",
    ),
    Guard(
        "UP-10",
        UPLOAD + "test_what_is_no_document_is_told_before_any_request",
        "flow/source.py",
        "if not stat.S_ISREG(mode):",
        "if mode < 0:",
        case="folder",
    ),
    Guard(
        "UP-10",
        UPLOAD + "test_what_is_over_the_limits_is_told_before_any_request",
        "flow/source.py",
        "if kind is not None and size > limit:",
        "if size < 0:",
    ),
    Guard(
        "UP-12",
        UPLOAD + "test_the_object_is_the_file",
        "service/session.py",
        'self._storage_request("PUT", url, data=body,',
        'self._storage_request("PUT", url, files={"file": body},',
    ),
]

WAITS = [
    Guard(
        "PO-01",
        WAIT + "test_a_parse_that_never_ends_can_be_gone_on_with",
        "flow/wait.py",
        "    raise WaitTimeout(f",
        "    raise RuntimeError(f",
        more=((' %", uid=uid)\n\n\ndef note', ' %")\n\n\ndef note'),),
    ),
    Guard(
        "PO-02",
        WAIT + "test_throttled_polls_are_no_reason_for_a_second_upload",
        "flow/polling.py",
        "if self._network and error.code not in LIMIT_CODES:",
        "if error.code == 'none':",
    ),
    Guard(
        "PO-03",
        WAIT + "test_one_silent_answer_lasts_no_longer_than_the_wait",
        "flow/wait.py",
        "ask(uid, deadline=deadline)",
        "ask(uid)",
        hangs=True,
    ),
    Guard(
        "PO-04",
        WAIT + "test_a_poll_that_fails_is_asked_again",
        "flow/polling.py",
        "isinstance(error, NetworkError | ProtocolError) and self._within_patience()",
        "False",
    ),
    Guard(
        "PO-04",
        WAIT + "test_an_answer_in_between_forgives_the_failures_before_it",
        "flow/polling.py",
        "        self._trouble = 0\n        self._failing_since = None\n        self._pace",
        "        self._pace",
    ),
    Guard(
        "PO-05",
        WAIT + "test_a_refusal_is_told_at_once",
        "flow/polling.py",
        "isinstance(error, NetworkError | ProtocolError) and self._within_patience()",
        "self._within_patience()",
    ),
    Guard(
        "PO-06",
        WAIT + "test_progress_is_shown_without_steps_back",
        "flow/wait.py",
        "max(shown, status.progress)",
        "status.progress",
    ),
    Guard(
        "PO-06",
        WAIT + "test_progress_is_shown_without_steps_back",
        "service/readers.py",
        "max(0, min(100, whole_or_none(value) or 0))",
        "whole_or_none(value) or 0",
    ),
    Guard(
        "PO-07",
        WAIT + "test_a_jump_of_the_wall_clock_changes_no_wait",
        "clock.py",
        "self.monotonic() + seconds",
        "self.now() + seconds",
        more=(("self.moment - self.clock.monotonic()", "self.moment - self.clock.now()"),),
    ),
    Guard(
        "PO-08",
        WAIT + "test_a_uid_that_is_not_known_yet_is_asked_for_again",
        "flow/polling.py",
        "return not self._grace.passed()",
        "return False",
    ),
    Guard(
        "PO-08",
        WAIT + "test_a_uid_that_stays_unknown_is_an_error_that_names_it",
        "flow/polling.py",
        "return not self._grace.passed()",
        "return not self.deadline.passed()",
    ),
    Guard(
        "AP-02",
        WAIT + "test_a_status_word_that_is_not_known_is_waited_out",
        "flow/wait.py",
        '        if status.state == "failed":\n',
        '        if status.state != "processing":\n',
    ),
    Guard(
        "AP-08",
        WAIT + "test_a_result_that_lacks_pages_is_not_taken",
        "flow/wait.py",
        "    if missing:\n",
        "    if pages is None:\n",
        case="fewer",
    ),
]

DOWNLOADS = [
    Guard(
        "DL-01",
        DOWNLOAD + "test_a_download_that_breaks_off_is_started_again",
        "flow/download.py",
        "except (NetworkError, TruncatedDownload) as error:",
        "except TruncatedDownload as error:",
    ),
    Guard(
        "DL-02",
        DOWNLOAD + "test_a_body_without_a_length_that_ends_early_is_noticed",
        "flow/unpack.py",
        "    if not has_end(path):\n",
        "    if not path.exists():\n",
    ),
    Guard(
        "DL-03",
        DOWNLOAD + "test_an_encoded_body_is_refused_whether_whole_or_not",
        "flow/download.py",
        'if encoding not in ("", "identity"):',
        'if encoding == "none":',
    ),
    Guard(
        "DL-07",
        DOWNLOAD + "test_a_link_that_has_expired_is_asked_for_again",
        "flow/fetch.py",
        "if error.status not in LINK_REFUSED or not left:",
        "if error:",
    ),
    Guard(
        "DL-08",
        DOWNLOAD + "test_an_error_page_is_not_published",
        "flow/unpack.py",
        "    if excerpt is not None:\n",
        "    if excerpt == path:\n",
    ),
    Guard(  # a download under the final name
        "DL-09",
        DOWNLOAD + "test_an_older_result_survives_every_failure",
        "flow/fetch.py",
        'archive = stage / f"{to}.download"',
        'archive = stage.parent.parent / "paper.md"',
        case="download",
    ),
    Guard(
        "DL-10",
        DOWNLOAD + "test_a_body_that_never_ends_is_cut_at_the_cap",
        "flow/download.py",
        "            if done > limit:\n",
        "            if done > 100 * limit:\n",
    ),
    Guard(
        "DL-11",
        DOWNLOAD + "test_a_link_that_leads_elsewhere_is_not_followed",
        "service/storage.py",
        '    if link.scheme != "https":\n',
        '    if link.scheme == "none":\n',
    ),
    Guard(
        "DL-12",
        DOWNLOAD + "test_the_real_storage_can_not_send_a_client_to_its_own_machine",
        "service/session.py",
        "def get_redirect_target(self, resp: requests.Response) -> None:",
        "def not_used(self, resp: requests.Response) -> None:",
        more=(("allow_redirects=False", "allow_redirects=True"),),
    ),
    Guard(  # the bug that this would be
        "DL-14",
        DOWNLOAD + "test_a_name_that_the_store_suggests_is_not_used",
        "flow/download.py",
        '    with target.open("xb") as out:\n',
        '    called = response.headers.get("Content-Disposition", "").rpartition("=")[2].strip(\'"\')\n'
        '    with (target.parent / (called or target.name)).open("xb") as out:\n',
    ),
    Guard(
        "DL-15",
        DOWNLOAD + "test_an_encoded_body_is_refused_whether_whole_or_not",
        "flow/download.py",
        'if encoding not in ("", "identity"):',
        'if encoding == "none":',
        more=(("decode_content=False", "decode_content=True"),),
    ),
    Guard(
        "DL-16",
        DOWNLOAD + "test_a_link_to_the_export_before_is_waited_out",
        "flow/export.py",
        " or status.url == stale:",
        ":",
        more=(("return MARKS[to] in path or not any(mark in path for mark in MARKS.values())", "return True"),),
    ),
    Guard(
        "DL-16",
        DOWNLOAD + "test_both_delimiters_are_told_apart_by_the_main_file",
        "flow/fetch.py",
        "if main.stem not in NATIVE_FORMATS or main.stem == to:",
        "if main:",
    ),
    Guard(
        "DL-16",
        DOWNLOAD + "test_exports_of_one_uid_take_turns",
        "flow/fetch.py",
        "        with self._slots.of(self._status.uid):\n",
        "        if self._status.uid:\n",
    ),
]

ARCHIVES = [
    Guard(
        "AR-01",
        ARCHIVE + "test_a_member_that_leads_out_is_refused",
        "flow/unpack.py",
        '(any(part in ("", ".", "..") for part in parts), ',
        "(False, ",
    ),
    Guard(
        "AR-02",
        ARCHIVE + "test_links_and_special_files_are_refused",
        "flow/unpack.py",
        "(stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR), ",
        "(False, ",
    ),
    Guard(
        "AR-03",
        ARCHIVE + "test_a_bomb_is_refused_before_it_is_inflated",
        "flow/unpack.py",
        "if total > RATIO_FROM and total > RATIO * packed:",
        "if total < 0:",
        case="ratio",
    ),
    Guard(
        "AR-03",
        ARCHIVE + "test_a_bomb_is_refused_before_it_is_inflated",
        "flow/unpack.py",
        "if len(members) > MEMBERS:",
        "if len(members) < 0:",
        case="many",
    ),
    Guard(
        "AR-04",
        ARCHIVE + "test_a_member_that_is_larger_than_its_header_says_is_refused",
        "flow/unpack.py",
        "roomy.file_size += 2 * BLOCK",
        "roomy.file_size += 0",
        case="False",
    ),
    Guard(
        "AR-05",
        ARCHIVE + "test_two_names_that_some_system_takes_for_one_are_refused",
        "flow/unpack.py",
        "        if key in files:\n",
        "        if key in ():\n",
    ),
    Guard(
        "AR-06",
        ARCHIVE + "test_a_name_that_some_system_can_not_write_is_refused_on_all",
        "flow/unpack.py",
        "(FORBIDDEN.search(name), ",
        "(None, ",
    ),
    Guard(
        "AR-07",
        ARCHIVE + "test_a_broken_archive_is_refused",
        "flow/unpack.py",
        "    except BROKEN as error:\n",
        "    except MemoryError as error:\n",
    ),
    Guard(
        "AR-07",
        ARCHIVE + "test_a_broken_word_file_is_refused",
        "flow/fetch.py",
        "        check_whole(zipped, uid)\n",
        "",
    ),
    Guard(
        "AR-08",
        ARCHIVE + "test_what_the_markdown_lacks_is_told",
        "flow/publish.py",
        "            self._warn(text, links, target)\n",
        "",
    ),
]

DISKS = [
    Guard(
        "FS-01",
        DISK + "test_a_full_disk_leaves_no_part_of_a_file_and_the_paid_parse",
        "flow/disk.py",
        "if error.errno in FULL:",
        "if error.errno in ():",
    ),
    Guard(
        "FS-01",
        DISK + "test_a_full_disk_leaves_no_part_of_a_file_and_the_paid_parse",
        "flow/publish.py",
        "            if self.overwrite:  # an older",
        "            if self.overwrite and place(staged, final, overwrite=True):\n                pass\n"
        "            elif self.overwrite:  # an older",
        case="pictures",
    ),
    Guard(
        "FS-01",
        DISK + "test_a_limit_on_file_sizes_leaves_no_part_of_a_file",
        "flow/disk.py",
        "    except OSError as error:\n        if error.errno in FULL:\n",
        "    except MemoryError as error:\n        if error.args in FULL:\n",
    ),
    Guard(
        "FS-03",
        DISK + "test_unfinished_work_is_on_the_disk_of_the_results",
        "flow/staging.py",
        "tempfile.mkdtemp(prefix=PREFIX, dir=folder)",
        "tempfile.mkdtemp(prefix=PREFIX)",
    ),
    Guard(
        "FS-03",
        DISK + "test_a_name_that_can_not_be_filled_in_is_told_before_the_upload",
        "flow/pipeline.py",
        '            result_name(wish.name, self.source, uid="0", clock=self.kit.clock)',
        "            wish.name.strip()",
    ),
    Guard(
        "FS-04",
        DISK + "test_a_kill_between_write_and_rename_leaves_whole_files_only",
        "flow/disk.py",
        "    if overwrite:\n        staged.replace(final)\n",
        "    if overwrite:\n        final.write_bytes(b'')\n        staged.replace(final)\n",
        case="True",
    ),
    Guard(
        "FS-05",
        DISK + "test_a_name_that_is_taken_at_the_last_moment_is_left",
        "flow/disk.py",
        "        os.link(staged, final, follow_symlinks=False)\n",
        "        if final.exists():\n            raise FileExistsError\n        staged.replace(final)\n",
    ),
    Guard(
        "FS-05",
        DISK + "test_of_two_processes_that_want_a_name_one_gets_it",
        "flow/disk.py",
        "os.O_WRONLY | os.O_CREAT | os.O_EXCL",
        "os.O_WRONLY | os.O_CREAT",
        case="claim",
    ),
    Guard(
        "FS-09",
        DISK + "test_two_inputs_of_one_name_get_two_results",
        "batch/names.py",
        "            if key in self._taken:\n",
        "            if key in ():\n",
        more=(("if self._is_another(template, source) else template", "if mark in template else template"),),
    ),
]

SECRETS = [
    Guard(
        "CL-06",
        SECRET + "test_a_bad_option_is_told_before_any_request",
        "service/readers.py",
        'return check_uid(uid, "The uid")',
        "return str(uid)",
    ),
    Guard(
        "SE-04",
        SECRET + "test_a_failing_run_shows_no_secret_anywhere",
        "flow/unpack.py",
        'one_line(head.decode("utf-8", "replace"))',
        'head.decode("utf-8", "replace")',
        case="download",
    ),
    Guard(
        "SE-04",
        SECRET + "test_what_a_callback_raises_shows_no_secret",
        "service/session.py",
        "error.with_traceback(without_libraries(error.__traceback__))",
        "pass",
    ),
]

GUARDS = [*UPLOADS, *WAITS, *DOWNLOADS, *ARCHIVES, *DISKS, *SECRETS]
