#!/usr/bin/env bash
# The rpm is built and holds what it must. It is not installed: rpm is a guest on Debian. Closes with `N passed, N failed`.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
passed=0 failed=0
rpm=$("$here/scripts/package" rpm) || { echo "0 passed, 1 failed"; exit 1; }
holds=$(rpm -qp --qf '[%{FILEMODES:octal} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]' "$rpm" 2>&1)

# holds REGEXP: a line as in `100640 root:pgroute /etc/pgroute/pgroute.yaml`
holds() {
	if grep -Eq "^$1\$" <<<"$holds"; then
		passed=$((passed + 1))
		echo "ok      $1"
	else
		failed=$((failed + 1))
		echo "FAILED  $1 is not in the rpm:"
		sed 's/^/        /' <<<"$holds"
	fi
}

holds '100755 root:root /usr/sbin/pgroute'
holds '100755 root:root /usr/bin/pgroutectl'
holds '100640 root:pgroute /etc/pgroute/pgroute\.yaml'
holds '40750 root:pgroute /etc/pgroute/conf\.d'
holds '100644 root:root /.*/systemd/system/pgroute\.service'
holds '100644 root:root /.*/systemd/system/pgroute\.socket'
holds '100644 root:root /.*/man8/pgroute\.8(\.gz)?'
holds '100644 root:root /.*/man8/pgroutectl\.8(\.gz)?'
holds '100644 root:root /.*/man5/pgroute\.yaml\.5(\.gz)?'
holds '100644 root:root /.*/LICENSE'
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
