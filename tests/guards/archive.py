"""The guards of the archive: what is damaged, another's or over is not used, and it stays within its bounds."""

from __future__ import annotations

from tests.guards import Guard

__all__ = ["GUARDS"]

FILES = "ledger/test_archive.py::"
WAY = "flow/test_kept.py::"
ARCHIVE, PARTS, KEPT, PARSES = "ledger/archive.py", "ledger/parts.py", "flow/kept.py", "flow/parses.py"

GUARDS = [
    Guard(
        "KEPT",
        FILES + "test_whatever_is_changed_or_cut_never_comes_back_as_something_else",
        PARTS,
        '        if digest.hexdigest() != self.head.get("sha256"):',
        "        if False:",
    ),
    Guard(
        "KEPT",
        FILES + "test_a_part_that_lies_in_the_place_of_another_is_damaged",
        PARTS,
        "!= (VERSION, entry, name):",
        '!= (VERSION, head.get("entry"), name):',
    ),
    Guard("KEPT", FILES + "test_a_link_is_not_followed", ARCHIVE, ' | getattr(os, "O_NOFOLLOW", 0)', ""),
    Guard(
        "KEPT",
        FILES + "test_what_was_put_is_found_by_content_and_options_and_of_one_service_alone",
        ARCHIVE,
        "json.dumps([self._service, sha256, options])",
        "json.dumps([sha256, options])",
    ),
    Guard(
        "KEPT",
        WAY + "test_what_this_machine_made_is_had_again_and_never_served_for_a_service",
        "client.py",
        "        service = self._engine or self._kit.service.transport.base_url\n",
        '        service = "the service"\n',
    ),
    Guard(
        "KEPT",
        WAY + "test_natives_of_one_parse_are_never_mixed_with_those_of_another",
        ARCHIVE,
        "yield found if uid in (None, found.uid) else None",
        "yield found",
    ),
    Guard(
        "KEPT",
        FILES + "test_an_entry_is_over_so_many_days_after_its_last_use",
        ARCHIVE,
        "        if self._is_over(path.parent):",
        "        if False:",
    ),
    Guard(
        "KEPT",
        WAY + "test_what_is_over_is_paid_for_again",
        KEPT,
        "        self._archive.touch(self._entry)\n",
        "",
    ),
    Guard(
        "KEPT",
        FILES + "test_it_never_grows_over_its_size_and_what_was_used_last_stays",
        ARCHIVE,
        "        self._make_room(size)\n",
        "",
    ),
    Guard(
        "KEPT",
        FILES + "test_two_that_do_not_know_of_each_other_stay_near_the_size",
        ARCHIVE,
        " or self._put > spare:",
        ":",
    ),
    Guard(
        "KEPT",
        FILES + "test_what_is_larger_than_all_of_it_is_not_kept_and_pushes_nothing_out",
        ARCHIVE,
        "        if size > self._size:",
        "        if False:",
    ),
    Guard(
        "KEPT",
        FILES + "test_a_part_that_another_process_is_writing_is_left_to_it",
        ARCHIVE,
        "            if not lock(descriptor):\n                return\n",
        "",
    ),
    Guard(
        "KEPT",
        FILES + "test_many_put_take_and_prune_at_once_and_nobody_gets_what_is_not_his",
        ARCHIVE,
        "            if lock(descriptor) and os.path.samestat(os.fstat(descriptor), aside.stat()):\n"
        "                return aside, descriptor\n",
        "            return aside, descriptor\n",
    ),
    Guard(
        "KEPT",
        FILES + "test_a_kill_while_a_part_is_written_leaves_nothing_that_the_next_does_not_remove",
        ARCHIVE,
        "can't be used: {error.strerror or error}\") from error\n        self._sweep()\n",
        "can't be used: {error.strerror or error}\") from error\n",
    ),
    Guard(
        "KEPT",
        FILES + "test_all_of_it_is_private_under_any_umask",
        ARCHIVE,
        "        folder.chmod(0o700)\n",
        "        pass\n",
    ),
    Guard(
        "KEPT",
        FILES + "test_the_folder_of_somebody_else_and_a_link_are_refused",
        ARCHIVE,
        "if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():",
        "if False:",
    ),
    Guard(
        "KEPT",
        WAY + "test_a_prune_in_the_middle_takes_nothing_from_a_document_in_work",
        KEPT,
        "        taken = self._files.get((to, options))\n",
        "        taken = None\n",
    ),
    Guard(
        "KEPT",
        WAY + "test_force_passes_it_by_and_what_comes_takes_its_place",
        PARSES,
        "None if self._wish.force else kept.take(",
        "kept.take(",
    ),
    Guard(
        "KEPT",
        WAY + "test_no_key_and_no_permission_reaches_the_archive",
        KEPT,
        'without_permissions(status.raw.get("result"))',
        'status.raw.get("result")',
    ),
    Guard(
        "KEPT",
        WAY + "test_an_archive_that_can_not_be_written_is_a_warning",
        KEPT,
        "        except OSError as error:\n            self._warnings",
        "        except ZeroDivisionError as error:\n            self._warnings",
    ),
    Guard(
        "KEPT",
        WAY + "test_a_part_that_is_whole_but_no_parse_is_not_used",
        KEPT,
        'uid = check_uid(part.uid, "The archive")',
        "uid = part.uid",
    ),
    Guard(
        "KEPT",
        WAY + "test_a_part_that_is_whole_but_no_parse_is_not_used",
        KEPT,
        ".decompress(packed, most)",
        ".decompress(packed)",
    ),
    Guard(
        "KEPT",
        WAY + "test_a_book_is_taken_part_by_part",
        KEPT,
        "if parts > 1 and to in JOINED_BY_PANDOC",
        "if False",
    ),
    Guard(
        "KEPT",
        WAY + "test_a_quote_tells_what_is_in_the_archive_and_asks_for_nothing",
        "batch/quote.py",
        "        if not wish.force and Kept(",
        "        if Kept(",
    ),
]
