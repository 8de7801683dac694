"""The guards of pages: that none is paid twice, for another thing than was wanted, or lost once it is paid."""

from tests.guards import Guard

UPLOAD, PICTURES = "flow/test_upload_faults.py::", "flow/test_pictures.py::"
STOPS, RESULTS, RESUME = "batch/test_stops.py::", "batch/test_results.py::", "batch/test_resume.py::"
GIVEN_UP, SAME_NAME = "flow/test_given_up.py::", "flow/test_same_name.py::"
WAIT, CLAIMS, V1 = "flow/test_wait_faults.py::", "ledger/test_claims.py::", "v1/test_client.py::"
OTHER_PARSE = f"{UPLOAD}test_a_parse_that_would_be_another_one_is_refused_before_anything_is_paid"
OTHER_EXPORT = f"{UPLOAD}test_an_export_that_the_service_would_refuse_is_refused_before_anything_is_paid"
DEAD = f"{CLAIMS}test_who_was_taken_for_dead_pays_no_more"
BEFORE_ITS_TURN = f"{STOPS}test_a_file_that_changes_before_its_turn_is_not_sent_unless_its_bytes_are_the_same"
NAME = f"{UPLOAD}test_what_becomes_of_a_files_name_while_it_is_sent_is_nothing_to_its_bytes"
OTHERS = f"{STOPS}test_where_the_first_error_ends_a_batch_the_others_are_not_told_to_have_it"
PROCESSOR, QUOTE = "batch/test_processor.py::", "batch/test_quote.py::"
OPTIONS, SOURCE, DONE, ARGUMENTS = "service/options.py", "flow/source.py", "batch/done.py", "arguments.py"

# fmt: off
GUARDS = [
    Guard("input", OTHER_PARSE, OPTIONS, "parse.model not in (None, *MODELS)", "False", case="v9"),
    Guard("input", OTHER_PARSE, OPTIONS, "not isinstance(value, bool | None)", "False", case="ocr"),
    Guard("input", OTHER_PARSE, "service/v1.py", "        check_values(parse, export)\n", "", case="formula_only"),
    Guard("input", OTHER_EXPORT, OPTIONS, "type(level) is not int or ", "", case="1.0"),
    Guard("input", OTHER_EXPORT, OPTIONS, "export.formula not in FORMULAS", "False", case="dollars"),
    Guard("input", OTHER_EXPORT, "service/v2.py", "        check_level(parse, export)\n", "", case="needs"),
    Guard("input", f"{STOPS}test_a_budget_is_a_number_from_0", ARGUMENTS, " or number < least", ""),
    Guard("input", f"{STOPS}test_a_budget_is_a_number_from_0", ARGUMENTS, " or isinstance(number, bool)", ""),
    Guard("input", f"{STOPS}test_an_empty_folder_is_not_the_current_one", ARGUMENTS,
          "if not named:", "if False:"),
    Guard("input", "service/test_config.py::test_no_account_has_the_name_of_this_machines_engine", "config/settings.py",
          "if self.account == LOCAL:", "if False:"),
    Guard("input", f"{PICTURES}test_pages_that_a_picture_lacks_are_told_before_anything_is_sent", "flow/results.py",
          "    choice_of(source, wish.pages)\n", "", case="md-2"),
    Guard("again", f"{GIVEN_UP}test_one_document_that_the_service_gave_up_is_not_paid_again_by_itself",
          "flow/receipts.py", "and not wish.retry_failed and", "and False and"),
    Guard("again", f"{GIVEN_UP}test_what_was_seen_at_work_is_given_up_whatever_the_code", "flow/parse.py",
          "error.code == NEVER_BEGUN and self._was_never_begun()", "error.code == NEVER_BEGUN"),
    Guard("again", "flow/test_uid_twice.py::test_of_two_at_the_same_moment_one_is_refused", "ledger/writes.py",
          'check_uid(connection, row, values.get("uid"))', "pass"),
    Guard("name", f"{SAME_NAME}test_another_documents_result_of_another_format_keeps_its_name", "ledger/ledger.py",
          " OR result.state IN ('publishing', 'done'))", ")"),
    Guard("name", f"{SAME_NAME}test_md_and_md_dollar_do_not_pass_for_each_other", "flow/results.py",
          "or is_of(row, target, told, regular=regular)", ""),
    Guard("name", f"{SAME_NAME}test_what_is_rescued_is_made_with_its_post_processors", "batch/rescue.py",
          'given |= json.loads(result.options).get("processors") or {}', "pass"),
    Guard("UP-05", BEFORE_ITS_TURN, SOURCE, "same = self.is_as_checked(file)", "same = True", case="edited"),
    Guard("UP-05", BEFORE_ITS_TURN, SOURCE, "same = self.is_as_checked(file)", "same = False", case="touched"),
    Guard("UP-05", NAME, SOURCE, 'return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256',
          "return False", case="touch"),
    Guard("FS-07", f"{CLAIMS}test_a_process_that_calls_the_ledger_by_a_link_sees_who_holds_what", "config/paths.py",
          "return Path(os.path.realpath(Path(settings.ledger).expanduser()))",
          "return Path(settings.ledger).expanduser()"),
    Guard("FS-07", DEAD, "ledger/writes.py", ".rowcount and owner:", ".rowcount and False:"),
    Guard("JR-04", f"{PICTURES}test_a_uid_that_the_ledger_does_not_take_is_in_the_error_and_in_the_log",
          "flow/onestep.py", "raise type(error)(error.message, uid=uid, source=source.name, advice=advice) from error",
          "raise"),
    Guard("JR-10", "ledger/test_file.py::test_each_that_waits_for_a_commit_has_an_error_of_his_own", "ledger/store.py",
          "settled = [Settled(queued, problem=error) for queued in batch]",
          "told = ledger_error(error, path); settled = [Settled(queued, problem=told) for queued in batch]"),
    Guard("PO-08", f"{UPLOAD}test_a_uid_that_the_service_no_longer_knows_is_not_returned", "flow/parse.py",
          "        return is_stored(\n", "        return self._presigned is None or is_stored(\n"),
    Guard("PO-08", f"{WAIT}test_an_old_uid_that_was_heard_of_and_is_not_known_for_a_moment_is_not_paid_again",
          "flow/polling.py", "        self._heard(None, asked)\n        self._known = True\n",
          "        self._heard(None, asked)\n", case="processing"),
    Guard("AP-06", f"{WAIT}test_a_parse_that_failed_for_want_of_room_is_asked_for_again_under_its_uid", "flow/wait.py",
          "        if isinstance(error, RateLimit):\n            raise error\n", ""),
    Guard("v1", f"{V1}test_what_fails_before_an_upload_leaves_no_doubt_about_it", "flow/onestep.py",
          "    elif began and isinstance", "    elif isinstance", case="exchange"),
    Guard("account", f"{RESUME}test_a_renewed_key_is_told_how_what_the_old_one_paid_is_found", "client.py",
          "other_keys=tell_of_another_key(self._kit.ledger, account, clock.now())", "other_keys=False"),
    Guard("account", f"{RESUME}test_a_renewed_key_is_told_how_what_the_old_one_paid_is_found", "flow/parse.py",
          "            if kit.other_keys and", "            if False and"),
    Guard("account", f"{RESUME}test_a_parse_that_the_service_denies_within_its_day_is_not_paid_again_by_itself",
          "flow/parse.py", "(row.working or row.state == \"parsed\") and", "False and", case="work"),
    Guard("JR-07", "ledger/test_claims.py::test_nothing_is_paid_into_a_ledger_that_is_gone", "ledger/ledger.py",
          "            self._store.check_there()\n", "            pass\n"),
    Guard("FS-07", "ledger/test_claims.py::test_a_long_wait_for_another_process_is_told", "ledger/ledger.py",
          "                told.waits(source, self.holder_of(key))\n", ""),
    Guard("others", "cli/test_rescue.py::test_what_is_left_alone_is_told", "batch/rescue.py",
          "            elif (row.expires_at() or 0.0) <= now:\n", "            elif False:\n"),
    Guard("others", "cli/test_jobs.py::test_a_result_that_was_taken_away_is_told", "cli/receipts.py",
          "not os.path.lexists(path_of(result.target))", "False"),
    Guard("results", f"{RESULTS}test_a_result_of_other_pages_is_no_result_and_one_of_other_options_is_told",
          "flow/results.py", "        if pages != wanted.pop(\"pages\", None):\n",
          "        wanted.pop(\"pages\", None)\n        if False:\n"),
    Guard("others", OTHERS, DONE, "    if found.source is not None and not isinstance(found, STOPPING):\n",
          "    if False:\n"),
    Guard("others", f"{STOPS}test_a_refused_key_stops_the_batch_and_leaves_all_to_go_on", DONE,
          " and not isinstance(found, STOPPING):\n", ":\n"),
    Guard("others", f"{PROCESSOR}test_the_threads_of_a_batch_share_one_processor_and_what_is_not_ours_does_not",
          "processor.py", "        change_policy(os.SCHED_OTHER)\n", ""),
    Guard("others", f"{PROCESSOR}test_a_policy_that_was_chosen_for_a_thread_stays", "processor.py",
          " and _here.policy == os.SCHED_OTHER", ""),
    Guard("others", f"{PROCESSOR}test_a_system_that_lets_no_thread_choose_is_no_error", "processor.py",
          "        with suppress(OSError):  # musl has no such call\n", "        if True:\n"),
    Guard("input", f"{QUOTE}test_what_is_no_path_can_not_be_used_and_is_told_as_a_batch_tells_it", "batch/quote.py",
          "if isinstance(given, str | os.PathLike):", "if True:"),
]
# fmt: on
