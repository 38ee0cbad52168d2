/*
 * The vault: a duplicate of every server connection, so that any worker can come to any slot's
 * descriptor, and connections outlive the workers that opened them. Of a TLS connection it also has the
 * end that workers get who do not speak its TLS. A question that comes before its deposit (another
 * socket, another order) waits for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "master/master.h"

#define PENDING_MOST (5 * PGR_USEC_PER_SEC)

void
pgr_vault_init(struct pgr_vault *vault)
{
	vault->fd = malloc(sizeof(*vault->fd) * PGR_SLOTS_MAX);
	vault->lent = calloc(PGR_SLOTS_MAX, sizeof(*vault->lent));
	vault->conn = calloc(PGR_SLOTS_MAX, sizeof(*vault->conn));
	PGR_ASSERT(vault->fd != NULL && vault->lent != NULL && vault->conn != NULL);
	for (uint32_t i = 0; i < PGR_SLOTS_MAX; i++)
		vault->fd[i] = -1;
}

static void
drop(struct pgr_vault *vault, uint32_t slot)
{
	if (vault->fd[slot] >= 0)
		close(vault->fd[slot]);
	vault->fd[slot] = -1;
	if (vault->lent[slot] != 0)
		close(vault->lent[slot] - 1);
	vault->lent[slot] = 0;
}

/* True: answered, one way or the other. */
static bool
answer_one(struct pgr_master *m, const struct pgr_ask_pending *ask)
{
	struct pgr_note note = {.kind = PGR_NOTE_NONE, .slot = ask->slot, .conn = ask->conn};
	const struct pgr_child *child = &m->child[ask->child];
	int fd = ask->lent ? m->vault.lent[ask->slot] - 1 : m->vault.fd[ask->slot];

	if (child->sock < 0)
		return true;
	if (m->vault.conn[ask->slot] != ask->conn)
		fd = -1;
	if (fd >= 0) {
		note.kind = PGR_NOTE_HERE;
	} else if (m->now < ask->until) {
		return false;
	}
	return pgr_fdpass_send(child->sock, &note, fd) != PGR_AGAIN;
}

void
pgr_vault_answer(struct pgr_master *m)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < m->vault.pending_count; i++)
		if (!answer_one(m, &m->vault.pending[i]))
			m->vault.pending[kept++] = m->vault.pending[i];
	m->vault.pending_count = kept;
}

static void
on_ask(struct pgr_master *m, unsigned child, const struct pgr_note *note)
{
	struct pgr_ask_pending ask = {.child = child,
		.slot = note->slot,
		.conn = note->conn,
		.lent = note->lent != 0,
		.until = m->now + PENDING_MOST};

	if (!answer_one(m, &ask) && m->vault.pending_count < PGR_VAULT_PENDING)
		m->vault.pending[m->vault.pending_count++] = ask;
}

/* Of the control socket, or of the console in a worker. A full queue: whoever asked is told nothing. */
static void
on_command(struct pgr_master *m, unsigned child, enum pgr_command command)
{
	struct pgr_note result = {.kind = PGR_NOTE_RESULT};
	unsigned index = m->child[child].index;
	struct pgr_answer *answer = &m->shm.seg->answer[index % PGR_PROCS];

	if (index == PGR_PROC_MONITOR)
		return;
	pgr_master_command(m, command);
	answer->ok = m->answer.ok;
	snprintf(answer->text, sizeof(answer->text), "%s", m->answer.text);
	(void)!pgr_fdpass_send(m->child[child].sock, &result, -1);
}

static void
on_note(struct pgr_master *m, unsigned child, const struct pgr_note *note, int fd)
{
	struct pgr_vault *vault = &m->vault;

	switch ((enum pgr_note_kind)note->kind) {
	case PGR_NOTE_DEPOSIT:
		drop(vault, note->slot);
		vault->fd[note->slot] = fd;
		vault->conn[note->slot] = note->conn;
		pgr_vault_answer(m);
		return;
	case PGR_NOTE_LEND:
		if (vault->fd[note->slot] < 0 || vault->conn[note->slot] != note->conn ||
			vault->lent[note->slot] != 0)
			break;
		vault->lent[note->slot] = fd + 1;
		pgr_vault_answer(m);
		return;
	case PGR_NOTE_ASK:
		on_ask(m, child, note);
		break;
	case PGR_NOTE_DROP:
		if (vault->conn[note->slot] == note->conn)
			drop(vault, note->slot);
		break;
	case PGR_NOTE_COMMAND:
		on_command(m, child, (enum pgr_command)note->conn);
		break;
	case PGR_NOTE_HERE:
	case PGR_NOTE_NONE:
	case PGR_NOTE_RESULT:
	case PGR_NOTE_LOG:
		break;
	}
	if (fd >= 0)
		close(fd);
}

void
pgr_vault_read(struct pgr_master *m, unsigned child)
{
	struct pgr_note note;
	int fd;

	while (m->child[child].sock >= 0 &&
		pgr_fdpass_receive(m->child[child].sock, &note, &fd) == PGR_OK) {
		if (note.slot < PGR_SLOTS_MAX)
			on_note(m, child, &note, fd);
		else if (fd >= 0)
			close(fd);
	}
}

void
pgr_vault_forget_child(struct pgr_master *m, unsigned child)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < m->vault.pending_count; i++)
		if (m->vault.pending[i].child != child)
			m->vault.pending[kept++] = m->vault.pending[i];
	m->vault.pending_count = kept;
}

void
pgr_vault_close_all(struct pgr_vault *vault)
{
	for (uint32_t i = 0; i < PGR_SLOTS_MAX; i++)
		drop(vault, i);
}
