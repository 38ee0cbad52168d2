// node-postgres at its default settings; ../README.md says what each client does.
//
// usage: node main.js HOST PORT USER PASSWORD DATABASE CLIENTS ROUNDS
'use strict';
const assert = require('assert').strict;
const { text } = require('stream/consumers');
const { pipeline } = require('stream/promises');
const { setTimeout: sleep } = require('timers/promises');
const { Client, Query } = require('pg');
const copy = require('pg-copy-streams');
const Cursor = require('pg-cursor');

const [host, port, user, password, database] = process.argv.slice(2, 7);
const [clients, rounds] = process.argv.slice(7, 9).map(Number);
const login = { host, port: Number(port), user, password, database };
const look = `SELECT current_setting('application_name') AS name, current_setting('TimeZone') AS zone,
	current_setting('search_path') AS path, current_setting('statement_timeout') AS timeout`;
const insert = "INSERT INTO uses VALUES ('node-postgres', $1, $2, $3, $4)";
const own = 'SELECT count(*)::int FROM uses WHERE nonce = $1 AND kind = $2';
const counts = {};

function count(what, times = 1) {
	counts[what] = (counts[what] || 0) + times;
}

class User {
	constructor(number) {
		this.number = number;
		this.settings = { name: `node-postgres ${number}`, zone: `Etc/GMT+${number % 12}`,
			path: `own_${number},public`, timeout: `${600100 + number}ms` };
		this.db = new Client({ ...login, application_name: this.settings.name,
			statement_timeout: 600100 + number, options: `-c search_path=${this.settings.path}` });
	}

	async rows(...query) {
		return (await this.db.query(...query)).rows;
	}

	async look() {
		assert.deepEqual((await this.rows(look)).map(row => ({ ...row })), [this.settings]);
	}

	async fail() {
		await assert.rejects(this.db.query('SELECT 1 / $1::int', [0]), { code: '22012' });
		count('errors');
	}

	async query(nonce, n) {
		const [row] = await this.rows('SELECT $1::text AS nonce, $2::int + 1 AS n', [nonce, n]);
		assert.deepEqual({ ...row }, { nonce, n: n + 1 });
		count('queries');
	}

	async prepared(nonce, n) {
		for (let k = 0; k < 7; k++) {
			const values = [nonce, n + k];
			const [row] = await this.rows({ name: 'double', text: 'SELECT $1::text AS nonce, $2::int * 2 AS n', values });
			assert.deepEqual({ ...row }, { nonce, n: 2 * (n + k) });
			count('prepared');
		}
	}

	async insert(n, kind, nonce) {
		await this.db.query(insert, [this.number, n, kind, nonce]);
		assert.equal((await this.rows(own, [nonce, kind]))[0].count, 1);
	}

	async transactions(nonce, n) {
		await this.db.query('BEGIN');
		await this.insert(n, 'committed', nonce);
		await this.db.query('COMMIT');
		count('committed');
		await this.db.query('BEGIN');
		await this.insert(n, 'rolled back', nonce);
		await this.db.query('SAVEPOINT s');
		await this.fail();
		await this.db.query('ROLLBACK TO SAVEPOINT s');
		assert.equal((await this.rows(own, [nonce, 'rolled back']))[0].count, 1);
		await this.db.query('ROLLBACK');
		count('rolled_back');
	}

	async batch(nonce, n) {
		const one = k => `INSERT INTO uses VALUES ('node-postgres', ${this.number}, ${n}, 'batch', '${nonce} ${k}')`;
		const results = await this.db.query([0, 1, 2, 3, 4].map(one).join(';'));
		count('batched', results.filter(result => result.rowCount === 1).length);
	}

	async fetch(nonce) {
		const cursor = this.db.query(new Cursor('SELECT $1::text AS nonce, g FROM generate_series(1, 25) g', [nonce]));
		let last = 0, rows;
		while ((rows = await cursor.read(10)).length > 0)
			for (const row of rows)
				assert.deepEqual({ ...row }, { nonce, g: ++last });
		await cursor.close();
		count('fetched', last);
	}

	async copy(nonce, n) {
		const line = (_, k) => `node-postgres\t${this.number}\t${n}\tcopy\t${nonce} ${k + 10}\n`;
		const lines = Array.from({ length: 20 }, line);
		const into = this.db.query(copy.from('COPY uses FROM STDIN'));
		await pipeline(lines, into);
		count('copied_in', into.rowCount);
		const from = `SELECT * FROM uses WHERE kind = 'copy' AND nonce LIKE '${nonce} %' ORDER BY nonce`;
		assert.equal(await text(this.db.query(copy.to(`COPY (${from}) TO STDOUT`))), lines.join(''));
		count('copied_out', 20);
	}

	async round(n) {
		const nonce = `node-postgres ${this.number} ${n}`;
		await this.query(nonce, n);
		await this.look();
		count('settings');
		await this.prepared(nonce, n);
		await this.transactions(nonce, n);
		await this.fail();
		await this.batch(nonce, n);
		await this.fetch(nonce);
		await this.copy(nonce, n);
	}

	async cancel(observer) {
		const mark = `cancel of node-postgres ${this.number}`;
		const query = new Query(`SELECT pg_sleep(600) /* ${mark} */`);
		const ended = new Promise((resolve, reject) => {
			query.on('error', resolve);
			query.on('end', () => reject(new Error('nothing was cancelled')));
		});
		this.db.query(query);
		await observer.waitFor(mark);
		new Client(login).cancel(this.db, query);
		assert.equal((await ended).code, '57014');
		count('cancelled');
		await this.look();
	}

	async run(observer) {
		await this.db.connect();
		await this.db.query(`SET TIME ZONE '${this.settings.zone}'`);
		for (let n = 0; n < rounds; n++)
			await this.round(n);
		if (this.number % 10 === 0)
			await observer.alone(() => this.cancel(observer));
		await this.db.end();
	}
}

// Sees what runs. One client at a time is cancelled, so that there is a server connection for it.
class Observer {
	constructor() {
		this.db = new Client(login);
		this.last = Promise.resolve();
	}

	alone(action) {
		this.last = this.last.then(action);
		return this.last;
	}

	async waitFor(mark) {
		const sql = `SELECT count(*)::int FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1
			AND pid <> pg_backend_pid()`;
		while ((await this.db.query(sql, [`%${mark} */`])).rows[0].count === 0)
			await sleep(10);
	}
}

async function main() {
	const observer = new Observer();
	await observer.db.connect();
	await Promise.all(Array.from({ length: clients }, async (_, number) => {
		await new User(number).run(observer).catch(problem => {
			problem.message = `client ${number}: ${problem.message}`;
			throw problem;
		});
	}));
	await observer.db.end();
	console.log(JSON.stringify(counts));
}

main().catch(problem => {
	console.error(problem);
	process.exit(1);
});
