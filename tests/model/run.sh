#!/bin/bash
# run.sh [quick | list | NAME...]: proofs and mutations of the models, two at a time.
#
# Prints one line each ("ok" or "BAD") and "N passed, N failed"; fails if one is BAD. Without argument all, with "quick"
# those marked q, with names those, with "list" only the table. README.md says what the names mean.
# BUILD keeps spin's output in a folder (default: a temporary one), JOBS how many run at once (2), CPU_LIMIT seconds
# of processor time for one (600).
cd "$(dirname "$(realpath "$0")")" || exit 2
for tool in spin gcc; do
	command -v $tool >/dev/null || { echo "$tool is missing: run scripts/deps" >&2; exit 2; }
done

none='-DMAXC=0 -DMAXT=0'	# nobody dies, no wait times out
one='-DMAXC=1 -DMAXT=0'		# one process dies
wait2="-DMAXC=0 -DMAXT=1 -DTODO=2"
die="$one -DTODO=1 -DTODO2=0"
succ="$one -DTODO=1 -DTODO2=1 -DNS=1"
die2="-DMAXC=2 -DMAXT=0 -DTODO=1 -DTODO2=0 -DNS=1 -DGMASK=1"
cancel="$none -DTODO=2 -DNS=1 -DMAXK=1"
cancel_die="$one -DTODO=1 -DTODO2=0 -DNS=1 -DMAXK=1"
anew="-DMAXT=0 -DNS=1 -DMAXN=1"
pools="-DNP=2 -DINIT1=IDLE"
alias="$none -DINIT1=IDLE"
xfer="-DXFER $none -DTODO=2 -DNS=1"
bar="-DBAR=1 -DNP=2 -DINIT1=BARRED -DGMASK=1"
lower="-DBAR=1 -DALLOW=2 -DLOWER=1 -DINIT1=IDLE -DGMASK=1"
stall="-DSTALL=2 $none -DNS=1 -DGMASK=3"
fair='-DSAFETY -DNOCLAIM'
fxfer='-DXFER -DLATER -DNC=2'

# q: also in the quick run, s: as small | name | expect | file | defines | how pan is built | how it is run
table() {
	cat <<END
 |one_crash                 |holds     |pool|$die
q|one_crash_one_slot        |holds     |pool|$die -DNS=1
 |one_crash_successor       |holds     |pool|$succ
 |two_crashes               |holds     |pool|$die2
 |crash_timeout             |holds     |pool|-DMAXC=1 -DMAXT=1 -DTODO=1 -DTODO2=1 -DTODOB=0 -DNS=1
q|timeout_one_slot          |holds     |pool|$wait2 -DNS=1
 |timeout                   |holds     |pool|$wait2
q|three_workers             |holds     |pool|-DNW=3 -DMAXC=0 -DMAXT=1 -DTODO=1 -DNS=1
 |failed_login              |holds     |pool|$none -DMAXF=1 -DTODO=1 -DINIT0=FREE
q|failed_login_one_slot     |holds     |pool|$none -DMAXF=1 -DTODO=1 -DNS=1 -DINIT0=FREE
 |closed_while_idle         |holds     |pool|$none -DMAXR=1 -DTODO=2 -DNS=1 -DGMASK=3
 |fine_grained              |holds     |pool|-DFINE $succ -DTODO2=0
q|no_endless_run            |holds     |pool|$die -DNS=1 -DGMASK=1|-DNP|-m4000000 -l
 |no_generation_no_cancel   |holds     |pool|$succ -DGMASK=0
 |no_recheck                |holds     |pool|$succ -DMUT_NO_RECHECK
 |no_recheck_two_crashes    |holds     |pool|$die2 -DMUT_NO_RECHECK
 |mut_late_snapshot         |lost      |pool|$die2 -DMUT_LATE_SNAPSHOT
 |mut_mail_reset            |lost      |pool|$die2 -DMUT_MAIL_RESET
 |mut_mail_reset_no_recheck |lost      |pool|$succ -DMUT_NO_RECHECK -DMUT_MAIL_RESET
 |mut_no_pokeall            |lost      |pool|$die -DMUT_NO_POKEALL
 |mut_free_without_eof      |lost      |pool|$die -DMUT_FREE_WITHOUT_EOF
 |mut_dead_to_idle          |owner     |pool|$die -DMUT_DEAD_TO_IDLE
 |mut_duty_is_dialing       |owner     |pool|$die -DMUT_DUTY_IS_DIALING
q|mut_no_rescan             |forgotten |pool|$wait2 -DMUT_NO_RESCAN
 |mut_ignore_unwanted       |lost      |pool|$wait2 -DMUT_IGNORE_UNWANTED
 |mut_check_before_return   |forgotten |pool|$none -DTODO=2 -DNS=1 -DMUT_CHECK_BEFORE_RETURN
 |mut_no_rematch            |forgotten |pool|$succ -DMUT_NO_REMATCH
 |mut_sweep_no_match        |forgotten |pool|$succ -DMUT_SWEEP_NO_MATCH
 |mut_mon_clears_mask       |forgotten |pool|$succ -DMUT_MON_CLEARS_MASK
 |mut_start_unswept         |lost      |pool|$succ -DMUT_START_UNSWEPT
 |mut_dial_no_publish       |forgotten |pool|$none -DMAXF=1 -DTODO=1 -DTODOB=0 -DNS=1 -DINIT0=FREE -DMUT_DIAL_NO_PUB
 |mut_close_idle_by_store   |owner     |pool|$none -DMAXR=1 -DTODO=2 -DNS=1 -DGMASK=3 -DMUT_REAP_STORE
q|cancel                    |holds     |pool|$cancel
 |cancel_crash              |holds     |pool|$cancel_die
 |generation_2bits_3leases  |holds     |pool|$cancel -DTODO=3 -DGMASK=3
 |mut_1bit_3leases          |stranger  |pool|$cancel -DTODO=3 -DGMASK=1
 |mut_dead_pin_dropped      |stranger  |pool|$cancel_die -DTODO2=1 -DMUT_DEAD_PIN_JUST_DROPPED
q|mut_pin_no_generation     |stranger  |pool|$cancel -DMUT_PIN_NO_GEN
 |mut_lease_pinned          |stranger  |pool|$cancel -DMUT_LEASE_PINNED
 |mut_unpin_before_eof      |stranger  |pool|$cancel -DMUT_UNPIN_BEFORE_EOF
 |mut_unpin_no_match        |forgotten |pool|$cancel -DMUT_UNPIN_NO_MATCH
q|own_cancel                |holds     |pool|$cancel -DOWNCANCEL
 |own_cancel_no_generation  |holds     |pool|$cancel -DOWNCANCEL -DGMASK=0
 |own_cancel_crash          |holds     |pool|$cancel_die -DOWNCANCEL
 |own_mut_dead_pin_dropped  |stranger  |pool|$cancel_die -DTODO2=1 -DOWNCANCEL -DMUT_DEAD_PIN_JUST_DROPPED
 |own_mut_lease_pinned      |stranger  |pool|$cancel -DOWNCANCEL -DMUT_LEASE_PINNED
 |own_mut_unpin_before_eof  |stranger  |pool|$cancel -DOWNCANCEL -DMUT_UNPIN_BEFORE_EOF
q|pools                     |holds     |pool|$pools $wait2
 |pools_fine_grained        |holds     |pool|-DFINE $pools $none -DTODO=2
 |pools_crash               |holds     |pool|$pools $die
 |pools_crash_dialing       |holds     |pool|-DNP=2 $die
 |pools_crash_successor     |holds     |pool|$pools $die -DTODO2=1 -DTODOB=0
 |pools_two_crashes         |holds     |pool|-DNP=2 $die2
 |pools_alias               |holds     |pool|$pools $wait2 -DPB=1
 |pools_alias_crash         |holds     |pool|$pools $die -DPB=1
 |pools_coalesced_pokes     |holds     |pool|$pools $die -DVAR_COALESCE
q|mut_pmail_before_mail     |lost      |pool|$pools $none -DTODO=2 -DMUT_PMAIL_BEFORE_MAIL
 |mut_pmail_after_poke      |lost      |pool|$pools $none -DTODO=2 -DMUT_PMAIL_AFTER_POKE
 |mut_pmail_cleared_last    |lost      |pool|$pools $none -DTODO=1 -DPB=1 -DTODO=2 -DMUT_PMAIL_CLEARED_LAST
 |mut_pmail_only_waited     |lost      |pool|$pools $wait2 -DMUT_PMAIL_READ_ONLY_WAITED
 |mut_eventfd_read_last     |lost      |pool|$pools $none -DTODO=2 -DMUT_READ_AFTER_EXCHANGE
 |mut_pokeall_no_pmail      |forgotten |pool|$pools $die -DMUT_POKEALL_NO_PMAIL
 |mut_pmail_reset           |lost      |pool|-DNP=2 $die2 -DMUT_PMAIL_RESET
q|mail_alias                |holds     |pool|$alias -DNS=3 -DMB=1 -DTODO=2 -DINIT2=IDLE
 |mail_alias_overgiven      |holds     |pool|$alias -DNS=3 -DMB=1 -DTODO=3 -DINIT2=IDLE
 |mail_alias_crash          |holds     |pool|$die -DMB=1
q|mut_mail_alias_first_only |lost      |pool|$alias -DMB=1 -DTODO=2 -DMUT_ALIAS_FIRST_ONLY
q|transfer                  |holds     |pool|$xfer -DMAXK=1
 |transfer_two_slots        |holds     |pool|-DXFER $wait2
 |transfer_three_clients    |holds     |pool|$xfer -DTODO=3 -DMAXK=1
 |transfer_crash            |holds     |pool|-DXFER $one -DTODO=2 -DTODOB=1 -DTODO2=0 -DNS=1
 |transfer_crash_cancel     |holds     |pool|-DXFER $one -DTODO=2 -DTODOB=1 -DTODO2=0 -DNS=1 -DMAXK=1 -DGMASK=3
q|mut_transfer_no_generation|stranger  |pool|$xfer -DMAXK=1 -DMUT_XFER_NO_GEN
 |mut_transfer_pinned       |lost      |pool|$xfer -DMAXK=1 -DMUT_XFER_PINNED
 |mut_transfer_pinned_no_gen|stranger  |pool|$xfer -DMAXK=1 -DMUT_XFER_PINNED -DMUT_XFER_NO_GEN
 |mut_transfer_no_publish   |forgotten |pool|$xfer -DTODO=3 -DMUT_XFER_NO_PUB
q|barred                    |holds     |pool|$bar $none -DTODO=1
 |barred_two_clients        |holds     |pool|$bar $none -DTODO=2 -DTODOB=1
 |barred_timeout            |holds     |pool|$bar $none -DTODO=1 -DMAXT=1
 |barred_failed_login       |holds     |pool|$bar $none -DTODO=1 -DMAXF=1
 |barred_no_endless_run     |holds     |pool|$bar $none -DTODO=1|-DNP|-m4000000 -l
 |barred_one_worker_crash   |holds     |pool|$bar -DNW=1 $one -DTODO=2 -DTODO2=1
 |barred_two_workers_crash  |holds     |pool|$bar $one -DTODO=1 -DTODOB=0 -DTODO2=0
 |barred_flag               |holds     |pool|$bar $none -DTODO=1 -DHFLAG
 |barred_lower              |holds     |pool|$lower $none -DTODO=1
q|barred_lower_one_worker   |holds     |pool|$lower $none -DTODO=2 -DTODOB=0
 |barred_lower_crash        |holds     |pool|$lower -DNW=1 $one -DTODO=2 -DTODO2=0
 |mut_bar_by_store          |owner     |pool|$bar $none -DTODO=1 -DINIT0=FREE -DMUT_BAR_STORE
q|mut_barred_no_poke        |forgotten |pool|$bar $none -DTODO=1 -DMUT_BARRED_NO_POKE
q|mut_monitor_looks_once    |forgotten |pool|$bar $none -DTODO=1 -DMUT_LOOK_ONCE
 |mut_lower_looks_once      |allowance |pool|$lower $none -DTODO=2 -DTODOB=0 -DMUT_LOOK_ONCE
 |mut_no_second_look        |lost      |pool|$bar $none -DTODO=1 -DMUT_NO_SECOND_LOOK
 |mut_unbar_no_match        |forgotten |pool|$bar $none -DTODO=1 -DMUT_SWEEP_NO_MATCH
 |mut_unbar_before_eof      |limit     |pool|$bar $none -DTODO=1 -DMAXF=1 -DMUT_UNBAR_BEFORE_EOF
 |mut_hungry_by_mask        |endless   |pool|$bar $none -DTODO=2 -DTODOB=1 -DMUT_HUNGRY_BY_MASK
 |mut_own_mail_counts       |endless   |pool|$bar $die -DMUT_OWN_MAIL_COUNTS
 |mut_monitor_keeps_want    |forgotten |pool|$bar -DNW=1 $one -DTODO=2 -DTODO2=1 -DMUT_MON_KEEPS_WANT
 |mut_flag_after_look       |forgotten |pool|$bar $none -DTODO=2 -DTODOB=1 -DHFLAG -DMUT_FLAG_AFTER_LOOK
q|renew                     |holds     |pool|$anew -DMAXC=0 -DTODO=1
 |renew_two_clients         |holds     |pool|$anew -DMAXC=0 -DTODO=2
q|renew_failed_login        |holds     |pool|$anew -DMAXC=0 -DTODO=1 -DMAXF=1
q|renew_two_slots           |holds     |pool|-DMAXT=0 -DMAXN=1 -DMAXC=0 -DTODO=1
 |renew_crash               |holds     |pool|$anew -DMAXC=1 -DTODO=1 -DTODO2=0
 |renew_cancel              |holds     |pool|$anew -DMAXC=0 -DTODO=1 -DMAXK=1 -DGMASK=3
q|mut_end_of_replaced       |innocent  |pool|$anew -DMAXC=0 -DTODO=1 -DMUT_END_OF_ANY
 |mut_end_number_before_word|innocent  |pool|$anew -DMAXC=0 -DTODO=1 -DMUT_END_CON_FIRST
q|mut_renew_before_eof      |limit     |pool|$anew -DMAXC=0 -DTODO=1 -DMUT_RENEW_BEFORE_EOF
 |mut_renew_failed_no_poke  |lost      |pool|$anew -DMAXC=0 -DTODO=1 -DMAXF=1 -DMUT_RENEW_NO_POKE
q|stopped                   |holds     |pool|$stall -DTODO=2 -DTODOB=1
 |stopped_two_clients       |holds     |pool|$stall -DTODO=2
 |stopped_dialing           |holds     |pool|-DSTALL=3 $none -DTODO=1 -DNS=1 -DINIT0=FREE
 |stopped_two_slots         |holds     |pool|-DSTALL=2 $none -DTODO=1
 |stopped_crash             |holds     |pool|-DSTALL=2 $die -DNS=1
 |stopped_pools             |holds     |pool|$pools -DSTALL=2 $none -DTODO=2 -DTODOB=1 -DGMASK=3
 |stopped_no_endless_run    |holds     |pool|$stall -DTODO=1 -DTODOB=2|-DNP|-m4000000 -l
q|mut_accept_by_store       |owner     |pool|$stall -DTODO=1 -DTODOB=2 -DMUT_ACCEPT_STORE
 |mut_not_passed_over       |endless   |pool|$stall -DTODO=2 -DTODOB=1 -DMUT_NO_SLOW|-DNP|-m4000000 -l
 |mut_slow_no_poke          |forgotten |pool|$stall -DTODO=1 -DTODOB=2 -DMUT_SLOW_NO_POKE
 |mut_slow_no_rematch       |forgotten |pool|$pools -DSTALL=2 $none -DTODO=2 -DTODOB=1 -DGMASK=3 -DMUT_SLOW_NO_REMATCH
 |together_barred           |holds     |pool|$bar $none -DHFLAG -DPB=1 -DXFER -DSTALL=2 -DTODO=1 -DHOME
 |together_alias            |holds     |pool|$alias -DNS=3 -DMB=1 -DXFER -DSTALL=2 -DTODO=2 -DTODOB=1 -DGMASK=1
 |fair_4                    |holds     |fair|-DBOUND=4|$fair
 |fair_mut_3                |overtaken |fair|-DBOUND=3|$fair
 |fair_later_3              |holds     |fair|-DLATER -DBOUND=3|$fair
 |fair_later_mut_2          |overtaken |fair|-DLATER -DBOUND=2|$fair
q|fair_later_two_slots_2    |holds     |fair|-DLATER -DNW=2 -DNS=2 -DNC=2 -DBOUND=2|$fair
 |fair_later_two_slots_mut_1|overtaken |fair|-DLATER -DNW=2 -DNS=2 -DNC=2 -DBOUND=1|$fair
q|fair_served               |holds     |fair|-DNW=2 -DBOUND=9|-DNFAIR=4|-m4000000 -a -f -N live
 |fair_mut_ignores_queue    |overtaken |fair|-DBOUND=12 -DMUT_LEASE_IGNORES_QUEUE|$fair
q|fair_transfer_d1_2        |holds     |fair|$fxfer -DNW=2 -DDIST=1 -DBOUND=2|$fair
 |fair_transfer_d1_mut_1    |overtaken |fair|$fxfer -DNW=2 -DDIST=1 -DBOUND=1|$fair
 |fair_transfer_d4_5        |holds     |fair|$fxfer -DNW=2 -DDIST=4 -DBOUND=5|$fair
 |fair_transfer_d4_mut_4    |overtaken |fair|$fxfer -DNW=2 -DDIST=4 -DBOUND=4|$fair
 |fair_transfer_two_slots_3 |holds     |fair|$fxfer -DNW=2 -DNS=2 -DDIST=1 -DBOUND=3|$fair
 |fair_transfer_two_mut_2   |overtaken |fair|$fxfer -DNW=2 -DNS=2 -DDIST=1 -DBOUND=2|$fair
 |fair_transfer_d2_4        |holds     |fair|$fxfer -DNW=2 -DNS=2 -DNC=3 -DDIST=2 -DBOUND=4|$fair
 |fair_transfer_3w_4        |holds     |fair|$fxfer -DNC2=1 -DFIRSTVICTIM=1 -DDIST=1 -DBOUND=4 -DCAP=6|$fair
 |fair_transfer_3w_mut_3    |overtaken |fair|$fxfer -DNC2=1 -DFIRSTVICTIM=1 -DDIST=1 -DBOUND=3 -DCAP=6|$fair
q|fair_mut_no_distance      |overtaken |fair|$fxfer -DNW=2 -DBOUND=12 -DMUT_NO_DISTANCE|$fair
q|reload                    |holds     |generation|
 |reload_crash              |holds     |generation|-DMAXC=1
 |reload_two_crashes        |holds     |generation|-DMAXC=2
q|reload_crash_of_a_poker   |holds     |generation|-DMAXC=1 -DMAXP=1 -DRELOADS=1
 |reload_fine_grained       |holds     |generation|-DFINE -DMAXC=1 -DMAXP=1 -DRELOADS=2
 |reload_no_successor       |holds     |generation|-DMAXC=1 -DNORESPAWN
 |reload_stopped            |holds     |generation|-DMAXS=1
 |reload_stopped_crash      |holds     |generation|-DMAXS=1 -DMAXC=1 -DRELOADS=2
 |reload_three_readers      |holds     |generation|-DNR=3 -DRELOADS=2
 |reload_four_stores        |holds     |generation|-DNG=4 -DRELOADS=5 -DMAXC=1
q|reload_four_stores_alone  |holds     |generation|-DNG=4 -DRELOADS=9 -DMAXC=2 -DNR=1
 |reload_no_endless_run     |holds     |generation|-DMAXC=1 -DMAXP=1 -DRELOADS=2|-DNP|-m4000000 -l
q|mut_number_first          |mixed     |generation|-DMUT_NUMBER_FIRST
 |mut_number_before_secrets |mixed     |generation|-DMUT_NUMBER_BEFORE_SECRETS
q|mut_no_look_after_pin     |mixed     |generation|-DMUT_NO_SECOND_LOOK
 |mut_pin_last              |mixed     |generation|-DMUT_PIN_LAST
q|mut_reuse_unseen          |mixed     |generation|-DMUT_NO_SCAN
 |mut_scan_early            |mixed     |generation|-DMUT_SCAN_EARLY
 |mut_copy_before_scan      |mixed     |generation|-DMUT_COPY_FIRST
 |mut_keeps_old_block       |mixed     |generation|-DMUT_KEEPS_OLD
 |mut_alive_last            |mixed     |generation|-DMAXC=1 -DMUT_ALIVE_LAST
 |mut_dead_before_waitpid   |mixed     |generation|-DMAXC=1 -DMUT_DEAD_EARLY
q|mut_dead_keep_stores      |refused   |generation|-DMAXC=1 -DNORESPAWN -DMUT_IGNORES_LIFE
q|mut_poke_before_number    |stale     |generation|-DMUT_POKE_FIRST
 |mut_look_before_eventfd   |stale     |generation|-DMUT_LOOKS_FIRST
 |mut_poke_not_forced       |stale     |generation|-DMAXC=1 -DMAXP=1 -DMUT_NO_FORCE
END
}

chosen() {	# the lines of the table that the arguments ask for
	if [ $# = 0 ]; then
		table
	elif [ "$*" = quick ]; then
		table | grep '^q'
	else
		for name; do
			table | grep "^.|$name *|" || echo " |$name|known|unknown|"
		done
	fi
}

[ "$*" = list ] && { table; exit; }
out=$(mktemp -d) || exit 2
trap 'rm -rf "$out"' EXIT
export BUILD=${BUILD:-$out/build}
chosen "$@" | sed 's/ *|/|/g' | while IFS='|' read -r size name expect file defines build run; do
	[ "$size" = q ] && opt=-O0 || opt=-O2	# compiling well takes 4 s more than compiling at all
	printf '%s\0' "$name" "$expect" "$file.pml" "$defines" "$opt ${build:--DSAFETY}" "$run"
done | xargs -0 -r -n 6 -P "${JOBS:-2}" ./one.sh | tee "$out/lines"
failed=$(grep -c -v '^ok ' "$out/lines")
echo "$(grep -c '^ok ' "$out/lines") passed, $failed failed"
[ "$failed" = 0 ] && [ -s "$out/lines" ]
