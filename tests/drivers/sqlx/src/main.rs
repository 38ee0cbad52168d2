//! sqlx at its default settings, a pool of one connection for each client; ../../README.md says what each client does.
//!
//! usage: driver-sqlx HOST PORT USER PASSWORD DATABASE CLIENTS ROUNDS

use std::collections::BTreeMap;
use std::error::Error;

use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolCopyExt, PgPoolOptions};
use sqlx::{Acquire, Executor, PgConnection};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
type Counts = BTreeMap<&'static str, u64>;

const LOOK: &str = "SELECT current_setting('application_name'), current_setting('TimeZone'), \
                    current_setting('search_path'), current_setting('statement_timeout')";
const INSERT: &str = "INSERT INTO uses VALUES ('sqlx', $1, $2, $3, $4)";

fn check<T: PartialEq + std::fmt::Debug>(got: T, wanted: T, what: &str) -> Outcome<()> {
	if got != wanted {
		return Err(format!("{what}: wanted {wanted:?}, got {got:?}").into());
	}
	Ok(())
}

fn failed<T>(result: sqlx::Result<T>, code: &str) -> Outcome<()> {
	let problem = result.err().ok_or("what should fail succeeded")?;
	let got = problem.as_database_error().and_then(|error| error.code());
	check(got.as_deref(), Some(code), &format!("SQLSTATE of {problem}"))
}

async fn fail(db: &mut PgConnection) -> Outcome<()> {
	failed(sqlx::query("SELECT 1 / $1::int4").bind(0i32).fetch_one(db).await, "22012")
}

async fn own(db: &mut PgConnection, kind: &str, nonce: &str) -> Outcome<()> {
	let sql = "SELECT count(*) FROM uses WHERE nonce = $1 AND kind = $2";
	let rows: i64 = sqlx::query_scalar(sql).bind(nonce).bind(kind).fetch_one(db).await?;
	check(rows, 1, "own rows")
}

struct User {
	number: i32,
	settings: (String, String, String, String),
	pool: PgPool,
	counts: Counts,
}

impl User {
	async fn new(number: i32) -> Outcome<User> {
		let given: Vec<String> = std::env::args().collect();
		let settings = (
			format!("sqlx {number}"),
			format!("Etc/GMT+{}", number % 12),
			format!("own_{number},public"),
			format!("{}ms", 600100 + number),
		);
		let login = PgConnectOptions::new_without_pgpass()
			.host(&given[1])
			.port(given[2].parse()?)
			.username(&given[3])
			.password(&given[4])
			.database(&given[5])
			.application_name(&settings.0)
			.options([("search_path", &settings.2), ("statement_timeout", &settings.3)]);
		let zone = format!("SET TIME ZONE '{}'", settings.1); // in the startup packet sqlx says UTC
		let pool = PgPoolOptions::new()
			.max_connections(1)
			.after_connect(move |db, _| {
				let zone = zone.clone();
				Box::pin(async move { db.execute(zone.as_str()).await.map(|_| ()) })
			})
			.connect_with(login)
			.await?;
		Ok(User { number, settings, pool, counts: Counts::new() })
	}

	fn count(&mut self, what: &'static str, times: u64) {
		*self.counts.entry(what).or_default() += times;
	}

	async fn look(&self) -> Outcome<()> {
		let got: (String, String, String, String) = sqlx::query_as(LOOK).fetch_one(&self.pool).await?;
		check(&got, &self.settings, "settings")
	}

	async fn query(&mut self, nonce: &str, n: i32) -> Outcome<()> {
		let sql = "SELECT $1::text, $2::int4 + 1";
		let row: (String, i32) = sqlx::query_as(sql).bind(nonce).bind(n).fetch_one(&self.pool).await?;
		check(row, (nonce.into(), n + 1), "query")?;
		self.count("queries", 1);
		Ok(())
	}

	/// sqlx prepares every text by name, and keeps it.
	async fn prepared(&mut self, nonce: &str, n: i32) -> Outcome<()> {
		for k in n..n + 7 {
			let sql = "SELECT $1::text, $2::int4 * 2";
			let row: (String, i32) = sqlx::query_as(sql).bind(nonce).bind(k).fetch_one(&self.pool).await?;
			check(row, (nonce.into(), 2 * k), "prepared")?;
			self.count("prepared", 1);
		}
		Ok(())
	}

	async fn insert(&self, db: &mut PgConnection, n: i32, kind: &str, nonce: &str) -> Outcome<()> {
		sqlx::query(INSERT).bind(self.number).bind(n).bind(kind).bind(nonce).execute(&mut *db).await?;
		own(db, kind, nonce).await
	}

	async fn transactions(&mut self, nonce: &str, n: i32) -> Outcome<()> {
		let mut transaction = self.pool.begin().await?;
		self.insert(&mut transaction, n, "committed", nonce).await?;
		transaction.commit().await?;
		let mut transaction = self.pool.begin().await?;
		self.insert(&mut transaction, n, "rolled back", nonce).await?;
		let mut savepoint = transaction.begin().await?;
		fail(&mut savepoint).await?;
		savepoint.rollback().await?;
		own(&mut transaction, "rolled back", nonce).await?;
		transaction.rollback().await?;
		self.count("committed", 1);
		self.count("rolled_back", 1);
		self.count("errors", 1);
		Ok(())
	}

	async fn batch(&mut self, nonce: &str, n: i32) -> Outcome<()> {
		let one = |k| format!("INSERT INTO uses VALUES ('sqlx', {}, {n}, 'batch', '{nonce} {k}');", self.number);
		let text: String = (0..5).map(one).collect();
		let rows = sqlx::raw_sql(&text).execute(&self.pool).await?.rows_affected();
		self.count("batched", rows);
		Ok(())
	}

	async fn fetch(&mut self, nonce: &str) -> Outcome<()> {
		let mut last = 0;
		let sql = "SELECT $1::text, g FROM generate_series(1, 25) g";
		let mut rows = sqlx::query_as::<_, (String, i32)>(sql).bind(nonce).fetch(&self.pool);
		while let Some(row) = rows.try_next().await? {
			last += 1;
			check(row, (nonce.into(), last), "stream")?;
		}
		drop(rows);
		self.count("fetched", last as u64);
		Ok(())
	}

	async fn copy(&mut self, nonce: &str, n: i32) -> Outcome<()> {
		let line = |k| format!("sqlx\t{}\t{n}\tcopy\t{nonce} {k}\n", self.number);
		let lines: String = (10..30).map(line).collect();
		let mut into = self.pool.copy_in_raw("COPY uses FROM STDIN").await?;
		for part in lines.as_bytes().chunks(100) {
			into.send(part).await?;
		}
		let copied = into.finish().await?;
		let sql = format!("SELECT * FROM uses WHERE kind = 'copy' AND nonce LIKE '{nonce} %' ORDER BY nonce");
		let parts: Vec<_> = self.pool.copy_out_raw(&format!("COPY ({sql}) TO STDOUT")).await?.try_collect().await?;
		check(parts.concat(), lines.into_bytes(), "COPY")?;
		self.count("copied_in", copied);
		self.count("copied_out", parts.len() as u64);
		Ok(())
	}

	async fn round(&mut self, n: i32) -> Outcome<()> {
		let nonce = format!("sqlx {} {n}", self.number);
		self.query(&nonce, n).await?;
		self.look().await?;
		self.count("settings", 1);
		self.prepared(&nonce, n).await?;
		self.transactions(&nonce, n).await?;
		fail(&mut *self.pool.acquire().await?).await?;
		self.count("errors", 1);
		self.batch(&nonce, n).await?;
		self.fetch(&nonce).await?;
		self.copy(&nonce, n).await
	}

	/// sqlx cannot cancel; its users have the server do so.
	async fn cancel(&mut self) -> Outcome<()> {
		let mut transaction = self.pool.begin().await?;
		transaction.execute("SET LOCAL statement_timeout = '50ms'").await?;
		failed(transaction.execute("SELECT pg_sleep(600)").await, "57014")?;
		transaction.rollback().await?;
		self.count("cancelled", 1);
		self.look().await
	}
}

async fn run(number: i32, rounds: i32) -> Outcome<Counts> {
	let mut user = User::new(number).await?;
	for n in 0..rounds {
		user.round(n).await?;
	}
	if number % 10 == 0 {
		user.cancel().await?;
	}
	user.pool.close().await;
	Ok(user.counts)
}

#[tokio::main]
async fn main() -> Outcome<()> {
	let given: Vec<i32> = std::env::args().skip(6).map(|a| a.parse().unwrap()).collect();
	let clients: Vec<_> = (0..given[0]).map(|k| (k, tokio::spawn(run(k, given[1])))).collect();
	let mut counts = Counts::new();
	for (number, client) in clients {
		for (what, times) in client.await?.map_err(|problem| format!("client {number}: {problem:?}"))? {
			*counts.entry(what).or_default() += times;
		}
	}
	println!("{counts:?}"); // looks like JSON
	Ok(())
}
