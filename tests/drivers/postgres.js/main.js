// postgres.js at its default settings; ../README.md says what each client does.
//
// usage: node main.js HOST PORT USER PASSWORD DATABASE CLIENTS ROUNDS
'use strict';
const assert = require('assert').strict;
const { text } = require('stream/consumers');
const { pipeline } = require('stream/promises');
const { setTimeout: sleep } = require('timers/promises');
const postgres = require('postgres');

const [host, port, user, password, database] = process.argv.slice(2, 7);
const [clients, rounds] = process.argv.slice(7, 9).map(Number);
const login = { host, port: Number(port), user, password, database, max: 1 };
const counts = {};

function count(what, times = 1) {
	counts[what] = (counts[what] || 0) + times;
}

class User {
	constructor(number) {
		this.number = number;
		this.settings = { name: `postgres.js ${number}`, zone: `Etc/GMT+${number % 12}`,
			path: `own_${number},public`, timeout: `${600100 + number}ms` };
		const { name: application_name, zone: TimeZone, path: search_path, timeout: statement_timeout } = this.settings;
		this.sql = postgres({ ...login, connection: { application_name, TimeZone, search_path, statement_timeout } });
	}

	async look() {
		const [row] = await this.sql`SELECT current_setting('application_name') AS name,
			current_setting('TimeZone') AS zone, current_setting('search_path') AS path,
			current_setting('statement_timeout') AS timeout`;
		assert.deepEqual({ ...row }, this.settings);
	}

	async fail(sql) {
		await assert.rejects(sql`SELECT 1 / ${0}::int`.execute(), { code: '22012' });
		count('errors');
	}

	async query(nonce, n) {
		const [row] = await this.sql`SELECT ${nonce}::text AS nonce, ${n}::int + 1 AS n`;
		assert.deepEqual({ ...row }, { nonce, n: n + 1 });
		count('queries');
	}

	// every text with parameters is prepared by name, and kept
	async prepared(nonce, n) {
		for (let k = 0; k < 7; k++) {
			const [row] = await this.sql`SELECT ${nonce}::text AS nonce, ${n + k}::int * 2 AS n`;
			assert.deepEqual({ ...row }, { nonce, n: 2 * (n + k) });
			count('prepared');
		}
	}

	insert(sql, n, kind, nonce) {
		return sql`INSERT INTO uses VALUES ('postgres.js', ${this.number}, ${n}, ${kind}, ${nonce})`;
	}

	async own(sql, kind, nonce) {
		const [row] = await sql`SELECT count(*)::int FROM uses WHERE nonce = ${nonce} AND kind = ${kind}`;
		assert.equal(row.count, 1);
	}

	async transactions(nonce, n) {
		await this.sql.begin(async sql => {
			await this.insert(sql, n, 'committed', nonce);
			await this.own(sql, 'committed', nonce);
		});
		count('committed');
		const back = new Error('back');
		await assert.rejects(this.sql.begin(async sql => {
			await this.insert(sql, n, 'rolled back', nonce);
			await assert.rejects(sql.savepoint(async inner => {
				await this.fail(inner);
				throw back;
			}), back);
			await this.own(sql, 'rolled back', nonce);
			throw back;
		}), back);
		count('rolled_back');
	}

	async batch(nonce, n) {
		const results = await this.sql.begin(sql =>
			[0, 1, 2, 3, 4].map(k => this.insert(sql, n, 'batch', `${nonce} ${k}`)));
		count('batched', results.filter(result => result.count === 1).length);
	}

	async fetch(nonce) {
		let last = 0;
		const query = this.sql`SELECT ${nonce}::text AS nonce, g FROM generate_series(1, 25) g`;
		await query.cursor(10, rows => {
			for (const row of rows)
				assert.deepEqual({ ...row }, { nonce, g: ++last });
		});
		count('fetched', last);
	}

	async copy(nonce, n) {
		const line = (_, k) => `postgres.js\t${this.number}\t${n}\tcopy\t${nonce} ${k + 10}\n`;
		const lines = Array.from({ length: 20 }, line);
		await pipeline(lines, await this.sql`COPY uses FROM STDIN`.writable());
		count('copied_in', 20);
		const from = `SELECT * FROM uses WHERE kind = 'copy' AND nonce LIKE '${nonce} %' ORDER BY nonce`;
		assert.equal(await text(await this.sql.unsafe(`COPY (${from}) TO STDOUT`).readable()), lines.join(''));
		count('copied_out', 20);
	}

	async round(n) {
		const nonce = `postgres.js ${this.number} ${n}`;
		await this.query(nonce, n);
		await this.look();
		count('settings');
		await this.prepared(nonce, n);
		await this.transactions(nonce, n);
		await this.fail(this.sql);
		await this.batch(nonce, n);
		await this.fetch(nonce);
		await this.copy(nonce, n);
	}

	async cancel(observer) {
		const mark = `cancel of postgres.js ${this.number}`;
		const query = this.sql.unsafe(`SELECT pg_sleep(600) /* ${mark} */`).execute();
		const ended = assert.rejects(query, { code: '57014' });
		await observer.waitFor(mark);
		query.cancel();
		await ended;
		count('cancelled');
		await this.look();
	}

	async run(observer) {
		for (let n = 0; n < rounds; n++)
			await this.round(n);
		if (this.number % 10 === 0)
			await observer.alone(() => this.cancel(observer));
		await this.sql.end();
	}
}

// Sees what runs. One client at a time is cancelled, so that there is a server connection for it.
class Observer {
	constructor() {
		this.sql = postgres(login);
		this.last = Promise.resolve();
	}

	alone(action) {
		this.last = this.last.then(action);
		return this.last;
	}

	async waitFor(mark) {
		let running = 0;
		while (running === 0) {
			await sleep(10);
			[{ count: running }] = await this.sql`SELECT count(*)::int FROM pg_stat_activity
				WHERE state = 'active' AND query LIKE ${`%${mark} */`} AND pid <> pg_backend_pid()`;
		}
	}
}

async function main() {
	const observer = new Observer();
	await Promise.all(Array.from({ length: clients }, async (_, number) => {
		await new User(number).run(observer).catch(problem => {
			problem.message = `client ${number}: ${problem.message}`;
			throw problem;
		});
	}));
	await observer.sql.end();
	console.log(JSON.stringify(counts));
}

main().catch(problem => {
	console.error(problem);
	process.exit(1);
});
