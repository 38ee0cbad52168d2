#!/usr/bin/env bash
# The deb as an operator meets it: built, installed, configured for a throwaway PostgreSQL, started, asked, reloaded, stopped,
# removed, purged. Closes with `N passed, N failed`.
#
# Needs root and what `scripts/deps build postgres package` installs; no systemd. Everything listens on free ports of 127.0.0.1.
# Refuses on a machine that has pgroute already; leaves the machine as it was.
#
# DEB names a package that is built already.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
patience=60
config=/etc/pgroute/pgroute.yaml
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PGPASSWORD=secret
passed=0 failed=0

# -- the frame

# check WHAT COMMAND...
check() {
	local what=$1 output
	shift
	if output=$("$@" 2>&1); then
		passed=$((passed + 1))
		echo "ok      $what"
	else
		failed=$((failed + 1))
		echo "FAILED  $what: $*"
		sed 's/^/        /' <<<"$output"
	fi
}

not() {
	! "$@"
}

# same WANTED COMMAND...: it succeeds and prints exactly that
same() {
	local wanted=$1 output
	shift
	output=$("$@") || { echo "exit $?: $output"; return 1; }
	[ "$output" = "$wanted" ] || { echo "wanted: $wanted"; echo "got:    $output"; return 1; }
}

# says TEXT COMMAND...: its output, whatever the exit code, contains that
says() {
	local wanted=$1 output
	shift
	output=$("$@" 2>&1)
	grep -qF -- "$wanted" <<<"$output" || { echo "wanted: $wanted"; echo "got:    $output"; return 1; }
}

# exits CODE COMMAND...
exits() {
	local wanted=$1 code=0
	shift
	"$@" || code=$?
	[ $code -eq "$wanted" ] || { echo "exit code $code, not $wanted"; return 1; }
}

# until_true COMMAND...: waits for it
until_true() {
	local end=$((SECONDS + patience))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { echo "not within $patience s: $*"; return 1; }
		sleep 0.1
	done
}

give_up() {
	echo "FAILED  $*"
	failed=$((failed + 1))
	exit 1
}

finish() {
	trap - EXIT
	clean_up
	check "nothing is left of the package" left_nothing
	echo "$passed passed, $failed failed"
	[ $failed -eq 0 ] || exit 1
	exit 0
}

# -- the machine

apt() {
	apt-get -y -qq -o DPkg::Lock::Timeout=300 "$@"
}

port_taken() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		port_taken $port || { echo $port; return; }
	done
}

as_postgres() {
	(cd "$work" && setpriv --reuid=postgres --regid=postgres --init-groups env HOME="$work" "$@")
}

start_postgres() {
	install -d -o postgres -m 0700 "$work/data" "$work/socket"
	as_postgres "$bin/initdb" -D "$work/data" -U postgres --auth-local=trust --auth-host=scram-sha-256 --no-sync \
		--encoding=UTF8 --locale=C.UTF-8 || return 1
	printf '%s\n' "listen_addresses = '127.0.0.1'" "port = $pg_port" "unix_socket_directories = '$work/socket'" \
		"fsync = off" "shared_buffers = 16MB" >>"$work/data/postgresql.conf"
	as_postgres "$bin/pg_ctl" -D "$work/data" -l "$work/data/log" -w -t $patience start || return 1
	as_postgres "$bin/psql" -X -q -h "$work/socket" -p "$pg_port" -U postgres -v ON_ERROR_STOP=1 \
		-c "CREATE ROLE app LOGIN PASSWORD 'secret'" -c "CREATE DATABASE app OWNER app"
}

stop_postgres() {
	[ ! -s "$work/data/postmaster.pid" ] || as_postgres "$bin/pg_ctl" -D "$work/data" -m immediate -w stop >/dev/null
}

# also when the test broke in the middle
clean_up() {
	if [ -n "${installed:-}" ]; then
		pgroutectl status >/dev/null 2>&1 && pgroutectl stop --fast >/dev/null 2>&1
		installed_at_all && apt purge pgroute >/dev/null 2>&1
		rm -f /etc/pgroute/conf.d/test_deb.yaml
	fi
	stop_postgres
	rm -rf -- "$work"
}

installed_at_all() {
	dpkg-query -W pgroute >/dev/null 2>&1
}

left_nothing() {
	local path
	for path in /etc/pgroute /run/pgroute /usr/sbin/pgroute /usr/bin/pgroutectl /usr/share/doc/pgroute \
		/usr/share/man/man8/pgroute.8.gz /lib/systemd/system/pgroute.service; do
		[ ! -e $path ] || { echo "$path is left"; return 1; }
	done
	! getent passwd pgroute && ! getent group pgroute && ! installed_at_all
}

# -- what is asked

# mode_of PATH: as in 640 root:pgroute
mode_of() {
	stat -c '%a %U:%G' "$1"
}

# The users of the processes that run, each once: the master's, the children's
users_of_children() {
	ps -o user:32= --ppid "$(master)" | sort -u
}

master() {
	pgroutectl status --json | sed -n 's/.*"pid": *\([0-9]*\),* *"started.*/\1/p;s/^ *"pid": *\([0-9]*\),*$/\1/p' | head -n 1
}

user_of_master() {
	ps -o user= -p "$(master)"
}

query() {
	"$bin/psql" -X -At -h 127.0.0.1 -p "$port" -U app -d "$1" -c "$2"
}

write_config() {
	cat >$config <<-YAML
		listen: ["127.0.0.1:$port"]
		http: null
		workers: 2
		include: ["conf.d/*.yaml"]
		databases:
		  app:
		    pool_size: $1
		    servers: [{host: 127.0.0.1, port: $pg_port}]
		users:
		  app: {password: secret}
	YAML
}

# -- the steps

build() {
	[ -z "${DEB:-}" ] || { deb=$DEB; return; }
	"$here/scripts/package" deb >"$work/built" || give_up "scripts/package deb"
	deb=$(grep -v dbgsym "$work/built")
}

# what the unit names must exist and be understood; where systemd's tools are not there is nobody to ask
check_unit() {
	command -v systemd-analyze >/dev/null || return 0
	check "systemd understands the units" same "" systemd-analyze verify --man=yes /lib/systemd/system/pgroute.service \
		/lib/systemd/system/pgroute.socket
}

test_install() {
	local path
	installed=yes
	check "the package can be installed" apt install "$deb"
	installed_at_all || give_up "not installed"
	for path in /usr/sbin/pgroute /usr/bin/pgroutectl /lib/systemd/system/pgroute.service \
		/lib/systemd/system/pgroute.socket /etc/pgroute/pgroute.yaml; do
		check "$path is in it" test -f $path
	done
	for path in pgroute.8 pgroutectl.8 pgroute.yaml.5; do
		check "the manual has $path" test -s "/usr/share/man/man${path##*.}/$path.gz"
	done
	check "there is a user pgroute" getent passwd pgroute
	check "it cannot log in" same /usr/sbin/nologin sh -c 'getent passwd pgroute | cut -d: -f7'
	check "the configuration is for root and pgroute alone" same "640 root:pgroute" mode_of $config
	check "so is conf.d" same "750 root:pgroute" mode_of /etc/pgroute/conf.d
	check "the configuration is a conffile" says $config dpkg-query -W -f '${Conffiles}' pgroute
	check "the configuration as shipped is good" pgroutectl check
	check "nothing has been started" exits 3 pgroutectl status
	check_unit
}

test_run() {
	write_config 2
	check "start" says "listening on 127.0.0.1:$port" pgroutectl start
	check "a second start is refused" exits 1 pgroutectl start
	check "status" says "is running" pgroutectl status
	check "the master is root" same root user_of_master
	check "its children are not" same pgroute users_of_children
	check "the control socket is for pgroute alone" same "600 pgroute:pgroute" mode_of /run/pgroute/control.sock
	check "a query" same 42 query app "SELECT 6 * 7"
	check "a wrong password is refused" env PGPASSWORD=wrong "$BASH" -c \
		"! $bin/psql -X -At -h 127.0.0.1 -p $port -U app -d app -c 'SELECT 1'"
}

test_reload() {
	local before
	before=$(master)
	write_config 3
	check "reload tells what changed" says pool_size pgroutectl reload
	echo "databases: {more: {dbname: app, servers: [{host: 127.0.0.1, port: $pg_port}]}}" >/etc/pgroute/conf.d/test_deb.yaml
	check "the new database is not there before a reload" not query more "SELECT 1"
	check "reload" says more pgroutectl reload
	check "it is there after it" until_true query more "SELECT 1"
	echo "nonsense: 1" >>$config
	check "a bad file is refused" exits 1 pgroutectl reload
	check "with its place" says "$config:$(wc -l <$config):1:" pgroutectl reload
	check "and changes nothing" same 42 query app "SELECT 42"
	check "it is still the same process" same "$before" master
	write_config 3
}

test_upgrade() {
	check "the package can be installed again" apt install --reinstall "$deb"
	check "the edited configuration stays" grep -q "pool_size: 3" $config
	check "and its mode" same "640 root:pgroute" mode_of $config
	check "and what runs" same 1 query app "SELECT 1"
}

test_stop() {
	check "stop" pgroutectl stop
	check "status of what does not run" exits 3 pgroutectl status
	check "nobody listens" not port_taken "$port"
	check "the control socket is gone" test ! -e /run/pgroute/control.sock
}

test_remove() {
	check "start again" pgroutectl start
	check "remove" apt remove pgroute
	check "what ran has ended" not port_taken "$port"
	check "the programs are gone" test ! -e /usr/sbin/pgroute -a ! -e /usr/bin/pgroutectl
	check "the configuration is still there" test -f $config
	check "so is its user" getent passwd pgroute
	rm -f /etc/pgroute/conf.d/test_deb.yaml
	check "purge" apt purge pgroute
	check "the configuration is gone" test ! -e /etc/pgroute
	check "so is the user" not getent passwd pgroute
}

work=$(mktemp -d)
trap finish EXIT
chmod 0755 "$work"
[ "$(id -u)" = 0 ] || give_up "needs root to install a package"
if installed_at_all || [ -e /etc/pgroute ] || getent passwd pgroute >/dev/null || [ -e /run/pgroute ]; then
	rm -rf -- "$work"
	echo "FAILED  this machine has pgroute, or something of it, already; nothing was touched"
	echo "0 passed, 1 failed"
	trap - EXIT
	exit 1
fi
for bin in /usr/lib/postgresql/*/bin; do [ ! -x "$bin/initdb" ] || break; done
[ -x "$bin/initdb" ] || give_up "no PostgreSQL server programs"
pg_port=$(free_port) port=$(free_port)
build
start_postgres >"$work/postgres.out" 2>&1 || { cat "$work/postgres.out"; give_up "PostgreSQL does not start"; }
test_install
test_run
test_reload
test_upgrade
test_stop
test_remove
