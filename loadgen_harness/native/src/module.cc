// The Python module `_bridge`: arrays in, arrays out, no Python object per sample.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bridge.h"
#include "clock.h"
#include "version.h"

namespace nb = nanobind;

namespace lgh {

namespace {

constexpr size_t kManySamples = 256;    // completing this many takes long enough to let other Python threads run
constexpr size_t kManyBytes = 1 << 16;  // likewise copying this much
constexpr int64_t kStall_ns = 1'000'000;

// How long threads of this process waited for Python's lock after they had something to do.
class Gil {
 public:
  void waited(int64_t ns) {
    waits_.fetch_add(1, std::memory_order_relaxed);
    total_.fetch_add(ns, std::memory_order_relaxed);
    if (ns > kStall_ns) stalls_.fetch_add(1, std::memory_order_relaxed);
    int64_t most = most_.load(std::memory_order_relaxed);
    while (ns > most && !most_.compare_exchange_weak(most, ns, std::memory_order_relaxed)) {
    }
  }

  nb::dict account() const {
    nb::dict made;
    int64_t waits = waits_.load();
    made["waits"] = waits;
    made["mean_us"] = waits ? static_cast<double>(total_.load()) / 1e3 / static_cast<double>(waits) : 0.0;
    made["max_us"] = static_cast<double>(most_.load()) / 1e3;
    made["over_1ms"] = stalls_.load();
    return made;
  }

 private:
  std::atomic<int64_t> waits_{0}, total_{0}, most_{0}, stalls_{0};
};

Gil gil;

// Gives Python's lock away for its lifetime and notes how long it takes to get it back.
class Unlocked {
 public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  ~Unlocked() {
    int64_t ready = now_ns();
    PyEval_RestoreThread(state_);
    gil.waited(now_ns() - ready);
  }
  Unlocked(const Unlocked&) = delete;

 private:
  PyThreadState* state_;
};

// The memory of an array. Nothing is converted: what does not fit is an error, never a silent copy.
class Array {
 public:
  Array(nb::handle object, int flags) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_C_CONTIGUOUS | flags) != 0) throw nb::python_error();
  }
  ~Array() { PyBuffer_Release(&view_); }
  Array(const Array&) = delete;

  // Of integers of 8 bytes, signed or not.
  template <class T>
  T* words(const char* name) const {
    const char* format = view_.format ? view_.format : "B";
    const char* wanted = std::is_signed_v<std::remove_const_t<T>> ? "lq" : "LQ";
    bool fits = view_.itemsize == 8 && format[0] && !format[1] && (format[0] == wanted[0] || format[0] == wanted[1]);
    if (!fits) {
      std::string type = std::is_signed_v<std::remove_const_t<T>> ? "int64" : "uint64";
      throw nb::type_error((std::string(name) + " must be an array of " + type).c_str());
    }
    return static_cast<T*>(view_.buf);
  }
  const uint8_t* bytes() const { return static_cast<const uint8_t*>(view_.buf); }
  size_t size() const { return static_cast<size_t>(view_.len); }
  size_t rows() const { return view_.ndim > 0 && view_.shape ? static_cast<size_t>(view_.shape[0]) : size(); }
  size_t count() const { return view_.itemsize ? size() / static_cast<size_t>(view_.itemsize) : 0; }

 private:
  Py_buffer view_;
};

// One worker's place at the table: takes batches into arrays that its owner made and keeps.
class Seat {
 public:
  Seat(std::shared_ptr<Table> table, nb::handle ids, nb::handle indices, int64_t max_wait_ns, int64_t spin_ns)
      : table_(std::move(table)),
        ids_(ids, PyBUF_FORMAT | PyBUF_WRITABLE),
        indices_(indices, PyBUF_FORMAT | PyBUF_WRITABLE),
        max_wait_ns_(max_wait_ns),
        spin_ns_(spin_ns) {
    rows_ = ids_.words<uint64_t>("ids");
    samples_ = indices_.words<int64_t>("indices");
    if (ids_.count() != indices_.count() || !ids_.count()) throw nb::value_error("ids and indices differ in length");
  }

  size_t next_batch() {
    if (max_wait_ns_ == 0 && !table_->empty()) {
      size_t count = try_batch();
      if (count) return count;
    }
    Unlocked unlocked;
    return table_->next_batch(rows_, samples_, ids_.count(), max_wait_ns_, spin_ns_);
  }

  size_t try_batch() { return table_->try_batch(rows_, samples_, ids_.count()); }

 private:
  std::shared_ptr<Table> table_;
  Array ids_, indices_;
  uint64_t* rows_;
  int64_t* samples_;
  int64_t max_wait_ns_, spin_ns_;
};

// Responses as Python hands them over: rows of one array, or bytes cut by offsets.
class Answer {
 public:
  Answer(nb::handle ids, nb::handle data, nb::handle offsets, nb::handle tokens)
      : ids_(ids, PyBUF_FORMAT), data_(data, PyBUF_ND) {
    made_.rows = ids_.words<const uint64_t>("ids");
    made_.count = ids_.count();
    made_.data = data_.bytes();
    if (!offsets.is_none()) {
      offsets_ = std::make_unique<Array>(offsets, PyBUF_FORMAT);
      made_.offsets = offsets_->words<const uint64_t>("offsets");
      bool fits = offsets_->count() == made_.count + 1 && made_.offsets[made_.count] <= data_.size();
      for (size_t i = 0; fits && i < made_.count; ++i) fits = made_.offsets[i] <= made_.offsets[i + 1];
      if (!fits) throw nb::value_error("offsets do not fit the samples and their bytes");
    } else {
      if (data_.rows() != made_.count) throw nb::value_error(counts(data_.rows(), made_.count).c_str());
      made_.stride = made_.count ? data_.size() / made_.count : 0;
    }
    if (!tokens.is_none()) {
      tokens_ = std::make_unique<Array>(tokens, PyBUF_FORMAT);
      made_.tokens = tokens_->words<const int64_t>("tokens");
      if (tokens_->count() != made_.count) throw nb::value_error("the token counts do not fit the samples");
    }
  }

  const Responses& responses() const { return made_; }
  bool large() const { return made_.count >= kManySamples || data_.size() >= kManyBytes; }
  size_t bytes() const { return data_.size() + made_.count * 24 + 64; }

  std::vector<Bytes> parts() const {
    return {{made_.rows, made_.count * 8},
            {made_.data, data_.size()},
            {made_.offsets, made_.offsets ? (made_.count + 1) * 8 : 0},
            {made_.tokens, made_.tokens ? made_.count * 8 : 0}};
  }

 private:
  static std::string counts(size_t responses, size_t samples) {
    return std::to_string(responses) + " responses to " + std::to_string(samples) + " samples";
  }

  Array ids_, data_;
  std::unique_ptr<Array> offsets_, tokens_;
  Responses made_{};
};

template <class Call>
void perhaps_unlocked(bool unlocked, Call call) {
  if (unlocked) {
    nb::gil_scoped_release release;
    call();
  } else {
    call();
  }
}

void ring_write(Ring& ring, Kind kind, const std::vector<Bytes>& parts, size_t bytes) {
  perhaps_unlocked(bytes >= kManyBytes || !ring.room(bytes), [&] { ring.write(kind, parts); });
}

void ring_answer(Ring& ring, Kind kind, const Answer& answer) {
  ring_write(ring, kind, answer.parts(), answer.bytes());
}

void ring_send(Ring& ring, nb::list parts) {
  std::vector<std::unique_ptr<Array>> arrays;
  std::vector<Bytes> pieces;
  size_t bytes = 64;
  for (nb::handle part : parts) {
    arrays.push_back(std::make_unique<Array>(part, PyBUF_SIMPLE));
    pieces.push_back({arrays.back()->bytes(), arrays.back()->size()});
    bytes += arrays.back()->size() + 16;
  }
  ring_write(ring, Kind::kData, pieces, bytes);
}

nb::object ring_receive(Ring& ring, double timeout_s, int64_t spin_ns) {
  Message message;
  bool got = false;
  {
    Unlocked unlocked;
    got = ring.read(&message, now_ns() + static_cast<int64_t>(timeout_s * 1e9), spin_ns);
  }
  if (!got) return nb::none();
  nb::list views;
  for (const Bytes& part : message.parts) {
    auto* start = static_cast<char*>(const_cast<void*>(part.data));
    views.append(nb::steal(PyMemoryView_FromMemory(part.size ? start : const_cast<char*>(""),
                                                   static_cast<Py_ssize_t>(part.size), PyBUF_READ)));
  }
  return views;
}

// Calls into Python from LoadGen's threads; an exception there ends the run by way of `fail`.
template <class... Arguments>
void call_python(const nb::object& callable, const nb::object& fail, const Arguments&... arguments) {
  try {
    callable(arguments...);
  } catch (nb::python_error& error) {
    nb::object raised = nb::borrow(error.value());
    try {
      fail(raised);
    } catch (nb::python_error& again) {
      again.discard_as_unraisable("loadgen_harness.native");
    }
  }
}

class PythonBridge {
 public:
  PythonBridge(std::shared_ptr<Table> table, nb::handle progress, nb::object fail)
      : progress_(progress, PyBUF_FORMAT | PyBUF_WRITABLE), fail_(std::move(fail)) {
    if (progress_.count() < 2) throw nb::value_error("progress must hold two counters");
    bridge_ = std::make_unique<Bridge>(std::move(table), progress_.words<uint64_t>("progress"),
                                       [this](const std::string& message) { failed(message); });
  }
  ~PythonBridge() { stop(); }

  void stop() {
    nb::gil_scoped_release release;  // completing threads may want Python's lock for their last words
    bridge_.reset();
  }

  void complete(nb::handle ids, nb::handle data, nb::handle offsets, nb::handle tokens) {
    Answer answer(ids, data, offsets, tokens);
    perhaps_unlocked(answer.large(), [&] { bridge().complete(answer.responses()); });
  }

  void first_token(nb::handle ids, nb::handle data, nb::handle offsets) {
    Answer answer(ids, data, offsets, nb::none());
    bridge().first_token(answer.responses());
  }

  void listen(std::shared_ptr<Ring> ring, int64_t spin_ns) { bridge().listen(std::move(ring), spin_ns); }

  void set_costs(nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu> costs) {
    bridge().costs().assign(costs.data(), costs.data() + costs.size());
  }

  void judge(int64_t latency, int64_t first_token, int64_t per_token) {
    if (progress_.count() < 4) throw nb::value_error("progress must hold four counters, two of them for late samples");
    bridge().judge({latency, first_token, per_token}, progress_.words<uint64_t>("progress") + 2);
  }

  void start_test(const mlperf::TestSettings& settings, const std::string& folder, nb::object library,
                  nb::object answer) {
    if (!answer.is_none()) {
      bridge().answer_inline([this, answer](size_t count, int64_t issued) {
        nb::gil_scoped_acquire acquire;
        gil.waited(now_ns() - issued);
        call_python(answer, fail_, count);
      });
      bridge().surround_threads([](const std::function<void()>& thread) {
        nb::gil_scoped_acquire acquire;  // one thread state for all its calls, not one for each
        nb::gil_scoped_release release;
        thread();
      });
    }
    Library made{nb::cast<size_t>(library.attr("total_count")), nb::cast<size_t>(library.attr("performance_count")),
                 caller(library.attr("load")), caller(library.attr("unload"))};
    {
      nb::gil_scoped_release release;
      bridge().start_test(settings, folder, folder + "/audit.config", made);
    }
    bridge().answer_inline({});
  }

 private:
  Bridge& bridge() const {
    if (!bridge_) throw std::runtime_error("the bridge is stopped");
    return *bridge_;
  }

  std::function<void(const std::vector<size_t>&)> caller(const nb::object& callable) {
    return [this, callable](const std::vector<size_t>& indices) {
      nb::gil_scoped_acquire acquire;
      call_python(callable, fail_, nb::cast(indices));
    };
  }

  void failed(const std::string& message) {
    nb::gil_scoped_acquire acquire;
    nb::object error = nb::module_::import_("builtins").attr("RuntimeError")(message);
    try {
      fail_(error);
    } catch (nb::python_error& again) {
      again.discard_as_unraisable("loadgen_harness.native");
    }
  }

  Array progress_;
  nb::object fail_;
  std::unique_ptr<Bridge> bridge_;
};

void bind_settings(nb::module_& m) {
  using mlperf::TestSettings;
  nb::enum_<mlperf::TestScenario>(m, "TestScenario")
      .value("SingleStream", mlperf::TestScenario::SingleStream)
      .value("MultiStream", mlperf::TestScenario::MultiStream)
      .value("Server", mlperf::TestScenario::Server)
      .value("Offline", mlperf::TestScenario::Offline);
  nb::enum_<mlperf::TestMode>(m, "TestMode")
      .value("SubmissionRun", mlperf::TestMode::SubmissionRun)
      .value("AccuracyOnly", mlperf::TestMode::AccuracyOnly)
      .value("PerformanceOnly", mlperf::TestMode::PerformanceOnly)
      .value("FindPeakPerformance", mlperf::TestMode::FindPeakPerformance);
  nb::class_<TestSettings>(m, "TestSettings", "LoadGen's settings under its binding's names")
      .def(nb::init<>())
      .def("FromConfig", &TestSettings::FromConfig, nb::arg("path"), nb::arg("model"), nb::arg("scenario"),
           nb::arg("conf_type") = 1)
      .def_rw("scenario", &TestSettings::scenario)
      .def_rw("mode", &TestSettings::mode)
      .def_rw("single_stream_expected_latency_ns", &TestSettings::single_stream_expected_latency_ns)
      .def_rw("single_stream_target_latency_percentile", &TestSettings::single_stream_target_latency_percentile)
      .def_rw("multi_stream_expected_latency_ns", &TestSettings::multi_stream_expected_latency_ns)
      .def_rw("multi_stream_target_latency_percentile", &TestSettings::multi_stream_target_latency_percentile)
      .def_rw("multi_stream_samples_per_query", &TestSettings::multi_stream_samples_per_query)
      .def_rw("server_target_qps", &TestSettings::server_target_qps)
      .def_rw("server_target_latency_ns", &TestSettings::server_target_latency_ns)
      .def_rw("server_target_latency_percentile", &TestSettings::server_target_latency_percentile)
      .def_rw("server_coalesce_queries", &TestSettings::server_coalesce_queries)
      .def_rw("server_find_peak_qps_decimals_of_precision", &TestSettings::server_find_peak_qps_decimals_of_precision)
      .def_rw("server_find_peak_qps_boundary_step_size", &TestSettings::server_find_peak_qps_boundary_step_size)
      .def_rw("server_max_async_queries", &TestSettings::server_max_async_queries)
      .def_rw("server_num_issue_query_threads", &TestSettings::server_num_issue_query_threads)
      .def_rw("offline_expected_qps", &TestSettings::offline_expected_qps)
      .def_rw("sample_concatenate_permutation", &TestSettings::sample_concatenate_permutation)
      .def_rw("min_duration_ms", &TestSettings::min_duration_ms)
      .def_rw("max_duration_ms", &TestSettings::max_duration_ms)
      .def_rw("min_query_count", &TestSettings::min_query_count)
      .def_rw("max_query_count", &TestSettings::max_query_count)
      .def_rw("qsl_rng_seed", &TestSettings::qsl_rng_seed)
      .def_rw("sample_index_rng_seed", &TestSettings::sample_index_rng_seed)
      .def_rw("schedule_rng_seed", &TestSettings::schedule_rng_seed)
      .def_rw("accuracy_log_rng_seed", &TestSettings::accuracy_log_rng_seed)
      .def_rw("accuracy_log_probability", &TestSettings::accuracy_log_probability)
      .def_rw("accuracy_log_sampling_target", &TestSettings::accuracy_log_sampling_target)
      .def_rw("test05", &TestSettings::test05)
      .def_rw("test05_qsl_rng_seed", &TestSettings::test05_qsl_rng_seed)
      .def_rw("test05_sample_index_rng_seed", &TestSettings::test05_sample_index_rng_seed)
      .def_rw("test05_schedule_rng_seed", &TestSettings::test05_schedule_rng_seed)
      .def_rw("print_timestamps", &TestSettings::print_timestamps)
      .def_rw("performance_issue_unique", &TestSettings::performance_issue_unique)
      .def_rw("performance_issue_same", &TestSettings::performance_issue_same)
      .def_rw("performance_issue_same_index", &TestSettings::performance_issue_same_index)
      .def_rw("performance_sample_count_override", &TestSettings::performance_sample_count_override)
      .def_rw("accuracy_sample_count_override", &TestSettings::accuracy_sample_count_override)
      .def_rw("use_token_latencies", &TestSettings::use_token_latencies)
      .def_rw("ttft_latency", &TestSettings::server_ttft_latency)
      .def_rw("tpot_latency", &TestSettings::server_tpot_latency)
      .def_rw("infer_token_latencies", &TestSettings::infer_token_latencies)
      .def_rw("token_latency_scaling_factor", &TestSettings::token_latency_scaling_factor);
}

void bind_table(nb::module_& m) {
  nb::class_<Table>(m, "Table", "Queue and record of samples in shared memory")
      .def("__init__", [](Table* made, size_t capacity, size_t overflow) { new (made) Table(capacity, overflow); })
      .def_static("attach", [](int fd) { return std::make_shared<Table>(fd); })
      .def_prop_ro("fd", &Table::fd)
      .def_prop_ro("issued", &Table::issued)
      .def("populate", &Table::populate, nb::call_guard<nb::gil_scoped_release>())
      .def("flush", &Table::flush)
      .def("close", &Table::close)
      .def(
          "rows",
          [](const Table& table) {
            size_t bytes = table.recorded() * sizeof(Row);
            auto* start = const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(table.rows()));
            return nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>>(start, {bytes}, nb::handle());
          },
          nb::rv_policy::reference_internal, "The recorded rows' bytes, [n * 80] uint8, without a copy");
  nb::class_<Seat>(m, "Seat", "A worker's place: batches come into its arrays ids (uint64) and indices (int64)")
      .def("__init__",
           [](Seat* made, std::shared_ptr<Table> table, nb::object ids, nb::object indices, int64_t max_wait_ns,
              int64_t spin_ns) { new (made) Seat(std::move(table), ids, indices, max_wait_ns, spin_ns); })
      .def("next_batch", &Seat::next_batch, "Samples taken, waiting without Python's lock; 0: the table is closed")
      .def("try_batch", &Seat::try_batch, "Samples taken without waiting");
}

void bind_ring(nb::module_& m) {
  nb::class_<Ring>(m, "Ring", "Messages between two processes")
      .def("__init__", [](Ring* made, size_t bytes) { new (made) Ring(bytes); })
      .def_static("attach", [](int fd) { return std::shared_ptr<Ring>(new Ring(Ring::attach(fd))); })
      .def_prop_ro("fd", &Ring::fd)
      .def_prop_ro("closed", &Ring::closed)
      .def(
          "complete",
          [](Ring& ring, nb::handle ids, nb::handle data, nb::handle offsets, nb::handle tokens) {
            ring_answer(ring, Kind::kComplete, Answer(ids, data, offsets, tokens));
          },
          nb::arg("ids"), nb::arg("data"), nb::arg("offsets").none() = nb::none(),
          nb::arg("tokens").none() = nb::none())
      .def(
          "first_token",
          [](Ring& ring, nb::handle ids, nb::handle data, nb::handle offsets) {
            ring_answer(ring, Kind::kFirstToken, Answer(ids, data, offsets, nb::none()));
          },
          nb::arg("ids"), nb::arg("data"), nb::arg("offsets").none())
      .def("send", &ring_send)
      .def("receive", &ring_receive, nb::arg("timeout_s"), nb::arg("spin_ns") = 0,
           "A message's parts as memoryviews that are good until release(); None: nothing in time")
      .def("release", &Ring::release)
      .def("close", &Ring::close);
}

}  // namespace

}  // namespace lgh

NB_MODULE(_bridge, m) {
  using namespace lgh;
  m.doc() = "LoadGen driven without a Python object per sample";
  m.def("loadgen_version", [] { return nb::make_tuple(mlperf::LoadgenVersion(), mlperf::LoadgenGitRevision()); });
  m.def("gil", [] { return gil.account(); });
  bind_settings(m);
  bind_table(m);
  bind_ring(m);
  nb::class_<PythonBridge>(m, "Bridge", "LoadGen's system under test")
      .def("__init__",
           [](PythonBridge* made, std::shared_ptr<Table> table, nb::object progress, nb::object fail) {
             new (made) PythonBridge(std::move(table), progress, std::move(fail));
           })
      .def("complete", &PythonBridge::complete, nb::arg("ids"), nb::arg("data"), nb::arg("offsets").none() = nb::none(),
           nb::arg("tokens").none() = nb::none())
      .def("first_token", &PythonBridge::first_token, nb::arg("ids"), nb::arg("data"), nb::arg("offsets").none())
      .def("listen", &PythonBridge::listen, nb::arg("ring"), nb::arg("spin_ns") = 0)
      .def("costs", &PythonBridge::set_costs, nb::arg("costs").noconvert())
      .def("judge", &PythonBridge::judge, nb::arg("latency_ns"), nb::arg("first_token_ns"), nb::arg("per_token_ns"))
      .def("start_test", &PythonBridge::start_test, nb::arg("settings"), nb::arg("folder"), nb::arg("library"),
           nb::arg("answer").none())
      .def("stop", &PythonBridge::stop);
}
