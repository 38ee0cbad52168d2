#!/usr/bin/env bash
# The package stage of scripts/test: every test_*.sh here; closes with the sum of their last lines.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
./scripts/deps build postgres package || { echo "0 passed, 1 failed"; exit 1; }
passed=0 failed=0
for script in tests/package/test_*.sh; do
	echo "---- $script"
	log=$(mktemp)
	bash "$script" 2>&1 | tee "$log"
	rc=${PIPESTATUS[0]}
	read -r good bad < <(grep -Eo '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1 | awk '{print $1, $3}')
	[ -n "${bad:-}" ] || { good=0 bad=1; }
	[ "$rc" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
	passed=$((passed + good)) failed=$((failed + bad))
	rm -f "$log"
	unset good bad
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
