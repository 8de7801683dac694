"""The guards of plugins: loading, running, a process of their own, and the checked fetcher."""

from tests.guards import Guard

DERIVE, ISOLATE, CHILD = "flow/derive.py", "flow/isolate.py", "formats/child.py"
LOADING, CALLING, REGISTRY, FETCHING = "formats/plugins.py", "formats/guard.py", "formats/registry.py", "fetching.py"
RUNNING = "plugins/test_running.py"
RAISED = f"{RUNNING}::test_whatever_an_exporter_raises_fails_only_its_format"
REFUSED = f"{RUNNING}::test_a_result_against_the_contract_is_refused"
BROKEN = "plugins/test_loading.py::test_a_broken_plugin_is_listed_with_its_reason_and_the_rest_works"

GUARDS = [
    Guard("PL-01", RAISED, CALLING, "        except BaseException as error:\n            if raised:",
          "        except Exception as error:\n            if raised:", case="SystemExit and main"),
    Guard("PL-01", RAISED, CALLING, "    except BaseException:  # noqa: BLE001", "    except KeyError:  #",
          case="OddError"),
    Guard("PL-01", f"{RUNNING}::test_a_real_ctrl_c_is_not_taken_for_the_exporters", CALLING,
          "                raise raised[-1] from None", "                pass", case="False"),
    Guard("PL-01", f"{RUNNING}::test_a_real_ctrl_c_is_not_taken_for_the_exporters", CALLING,
          "        if raised:\n            raise raised[-1]\n        return result", "        return result",
          case="True"),
    Guard("PL-01", f"{RUNNING}::test_a_failed_post_processor_fails_its_native_format_and_what_needs_it", DERIVE,
          "        if links or not is_own_file(bundle.main, bundle.folder):", "        if False:", case="remove_main"),
    Guard("PL-02", "plugins/test_isolation.py::test_a_hanging_exporter_is_killed_at_its_limit_with_what_it_started",
          ISOLATE, "        os.killpg(process.pid, signal.SIGKILL)", "        process.kill()"),
    Guard("PL-02", "plugins/test_isolation.py::test_threads_that_an_exporter_leaves_behind_hold_nothing_up", CHILD,
          "    os._exit(0)", "    return"),
    Guard("PL-03", "plugins/test_isolation.py::test_a_crash_in_a_child_fails_only_its_own_row", ISOLATE,
          "    if answer is None:", "    if False:", case="segfault"),
    Guard("PL-04", REFUSED, DERIVE, "        if not isinstance(files, list) or not files or len(files) > MOST_FILES:",
          "        if files is None:", case="empty"),
    Guard("PL-04", REFUSED, DERIVE, '        os.fspath(inside).encode("utf-8")\n', "", case="name and that"),
    Guard("PL-05", REFUSED, DERIVE, "stat.S_ISREG(state.st_mode) and state.st_nlink == 1",
          "stat.S_ISREG(state.st_mode)", case="hard and link"),
    Guard("PL-05", REFUSED, DERIVE, "        state = file.lstat()\n        inside",
          "        state = file.stat()\n        inside",
          case="symbolic", more=(("file.resolve().relative_to(folder.resolve())", "file.relative_to(folder)"),)),
    Guard("PL-05", REFUSED, DERIVE, "file.resolve().relative_to(folder.resolve())", "file", case="dots"),
    Guard("PL-05", REFUSED, DERIVE, "        if not is_still(out, made):", "        if False:", case="swapped"),
    Guard("PL-06", f"{RUNNING}::test_an_exporter_that_changes_its_bundle_fails_and_the_next_gets_a_clean_one", DERIVE,
          "state.st_mtime_ns, state.st_ctime_ns)", "state.st_mtime_ns)", case="forged"),
    Guard("PL-06", f"{RUNNING}::test_an_exporter_that_changes_its_bundle_fails_and_the_next_gets_a_clean_one", DERIVE,
          "        del self._copies[bundle.folder]\n", "", case="delete"),
    Guard("PL-06", f"{RUNNING}::test_what_an_exporter_does_to_pages_links_and_options_reaches_nobody", DERIVE,
          "pages=own_pages(shared.pages)", "pages=shared.pages"),
    Guard("PL-06", f"{RUNNING}::test_the_working_directory_and_the_handlers_are_put_back", DERIVE,
          "                os.chdir(folder)", "                pass"),
    Guard("PL-07", BROKEN, LOADING, "            plugin = call_plugin(entry.load)", "            plugin = entry.load()",
          case="leaves"),
    Guard("PL-07", BROKEN, LOADING, "        if not caller.has_spec() and not own.optionalhook:", "        if False:",
          case="misspelt"),
    Guard("PL-07", "plugins/test_loading.py::test_two_offers_of_one_name_name_both_packages_and_hurt_only_that_name",
          REGISTRY, "        if len(offers) > 1:\n            raise", "        if False:\n            raise"),
    Guard("PL-07", "plugins/test_loading.py::test_the_variable_limits_what_is_imported", LOADING,
          "        if blocked:", "        if False:", case="doc2x-good"),
    Guard("PL-08", "plugins/test_fetching.py::test_only_plain_http_urls_are_fetched", FETCHING,
          "    if parts.auth is not None:", "    if False:", case="user"),
    Guard("PL-10", "plugins/test_isolation.py::test_the_environment_loses_every_copy_of_the_key", ISOLATE,
          " and not any(key in value for key in secret)", ""),
    Guard("PL-10", "plugins/test_isolation.py::test_a_child_gets_bundle_and_options_and_no_key", ISOLATE,
          "env=environment(os.environ)", "env=dict(os.environ)"),
    Guard("DL-13", "plugins/test_fetching.py::test_no_spelling_of_this_machine_gets_through", FETCHING,
          "    if allowed(ipaddress", "    if True or allowed(ipaddress", case="2130706433"),
    Guard("DL-13", "plugins/test_fetching.py::test_a_redirect_to_an_address_that_is_not_allowed_is_not_followed",
          FETCHING, "                    redirect=False,", "                    redirect=True,",
          more=(("    if allowed(ipaddress", '    if host == "127.0.0.2" or allowed(ipaddress'),)),
    Guard("DL-13", "plugins/test_fetching.py::test_addresses_that_are_public", FETCHING,
          "        if address.ipv4_mapped is not None:", "        if False:", case="ffff"),
]  # fmt: skip
