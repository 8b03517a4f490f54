// The native bridge's C++ without Python, under load: `stress list` names the cases, `stress CASE FOLDER` runs one.
//
// One process a case, because LoadGen runs one test a process. Exit code 1 and a sentence where something is wrong.
#include "stress.h"

#include <sys/prctl.h>

#include <algorithm>
#include <csignal>
#include <iostream>

namespace {

stress::Cases all_cases() {
  stress::Cases all;
  for (auto part : {stress::queue_cases, stress::ring_cases, stress::loadgen_cases, stress::misuse_cases}) {
    stress::Cases some = part();
    std::move(some.begin(), some.end(), std::back_inserter(all));
  }
  return all;
}

int run(const std::string& name, const std::string& folder) {
  for (const stress::Case& each : all_cases()) {
    if (each.name != name) continue;
    try {
      each.run(folder);
      return 0;
    } catch (const std::exception& error) {
      std::cerr << name << ": " << error.what() << std::endl;
      return 1;
    }
  }
  std::cerr << "there is no case " << name << std::endl;
  return 2;
}

}  // namespace

int main(int count, char** words) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (count == 3) return run(words[1], words[2]);
  for (const stress::Case& each : all_cases()) std::cout << each.name << "\n";
  return 0;
}
