using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>What looks have found out of order, and what became of it.</summary>
public sealed class FindingStore(Database database)
{
    private const string Columns = "id, kind, subject, place, detail, first_seen_at, last_seen_at, repaired_at, gone_at, done";

    /// <summary>Findings that are neither repaired nor gone; other looks wait until the transaction ends.</summary>
    public async Task<IReadOnlyList<Finding>> LockOpenAsync(Session session)
    {
        // Two looks at once, by hand beside the schedule, must not both be the second look at something.
        const string Lock = "LOCK TABLE reconcile_findings IN SHARE ROW EXCLUSIVE MODE";
        const string Sql = $"""
            SELECT {Columns}
            FROM reconcile_findings
            WHERE repaired_at IS NULL AND gone_at IS NULL
            ORDER BY kind, subject
            """;
        await session.ExecuteAsync(Lock);
        return [.. (await session.ListAsync<FindingRow>(Sql)).Select(r => r.ToModel().Finding)];
    }

    /// <summary>Records what a look saw: new findings, findings seen again, and those that are gone.</summary>
    public async Task RecordAsync(Session session, IReadOnlyList<Finding> findings, IReadOnlyList<FindingKey> gone, DateTimeOffset now)
    {
        const string Upsert = """
            INSERT INTO reconcile_findings (kind, subject, place, detail, first_seen_at, last_seen_at)
            VALUES (@Kind, @Subject, @Place, @Detail, @FirstSeenAt, @LastSeenAt)
            ON CONFLICT (kind, subject) WHERE repaired_at IS NULL AND gone_at IS NULL
            DO UPDATE SET last_seen_at = excluded.last_seen_at, place = excluded.place, detail = excluded.detail
            """;
        const string Close = """
            UPDATE reconcile_findings SET gone_at = @Now
            FROM unnest(@Kinds, @Subjects) AS gone (kind, subject)
            WHERE reconcile_findings.kind = gone.kind AND reconcile_findings.subject = gone.subject AND repaired_at IS NULL AND gone_at IS NULL
            """;
        foreach (var f in findings)
        {
            await session.ExecuteAsync(Upsert, new { Kind = f.Key.Kind.ToText(), f.Key.Subject, f.Place, f.Detail, f.FirstSeenAt, f.LastSeenAt });
        }

        await session.ExecuteAsync(Close, Args(gone, now));
    }

    /// <summary>Writes down what was done about open findings; they are repaired if it succeeded.</summary>
    public Task RecordRepairAsync(Session session, IReadOnlyList<FindingKey> findings, string done, bool succeeded, DateTimeOffset now)
    {
        const string Sql = """
            UPDATE reconcile_findings SET done = @Done, repaired_at = CASE WHEN @Succeeded THEN @Now ELSE NULL END
            FROM unnest(@Kinds, @Subjects) AS repaired (kind, subject)
            WHERE reconcile_findings.kind = repaired.kind AND reconcile_findings.subject = repaired.subject AND repaired_at IS NULL AND gone_at IS NULL
            """;
        return session.ExecuteAsync(Sql, new
        {
            Kinds = findings.Select(f => f.Kind.ToText()).ToArray(),
            Subjects = findings.Select(f => f.Subject).ToArray(),
            Done = done,
            Succeeded = succeeded,
            Now = now,
        });
    }

    /// <summary>Forgets findings that ended before a time; open ones stay however old they are. How many there were.</summary>
    public Task<int> PruneAsync(Session session, DateTimeOffset before) =>
        session.ExecuteAsync("DELETE FROM reconcile_findings WHERE repaired_at < @Before OR gone_at < @Before", new { Before = before });

    /// <summary>Findings, seen last first.</summary>
    /// <param name="filter">Which of them.</param>
    /// <param name="marker">The page begins after the finding of this id; null for the first page. After one that is not there the list is empty.</param>
    /// <param name="limit">Largest number of findings.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<IReadOnlyList<FindingRecord>> ListAsync(FindingFilter filter, long? marker, int limit, CancellationToken cancellationToken)
    {
        const string Sql = $"""
            SELECT {Columns}
            FROM reconcile_findings
            WHERE (@Kind::text IS NULL OR kind = @Kind)
              AND (@Open::boolean IS NULL OR (repaired_at IS NULL AND gone_at IS NULL) = @Open)
              AND (@Marker::bigint IS NULL OR (last_seen_at, id) < (SELECT last_seen_at, id FROM reconcile_findings WHERE id = @Marker))
            ORDER BY last_seen_at DESC, id DESC
            LIMIT @Limit
            """;
        return database.ReadAsync<IReadOnlyList<FindingRecord>>(
            async s => [.. (await s.ListAsync<FindingRow>(Sql, new { Kind = filter.Kind?.ToText(), filter.Open, Marker = marker, Limit = limit })).Select(r => r.ToModel())],
            cancellationToken);
    }

    private static object Args(IReadOnlyList<FindingKey> findings, DateTimeOffset now) =>
        new { Kinds = findings.Select(f => f.Kind.ToText()).ToArray(), Subjects = findings.Select(f => f.Subject).ToArray(), Now = now };

    private sealed record FindingRow
    {
        public long Id { get; init; }

        public string Kind { get; init; } = "";

        public string Subject { get; init; } = "";

        public string? Place { get; init; }

        public string Detail { get; init; } = "";

        public DateTimeOffset FirstSeenAt { get; init; }

        public DateTimeOffset LastSeenAt { get; init; }

        public DateTimeOffset? RepairedAt { get; init; }

        public DateTimeOffset? GoneAt { get; init; }

        public string? Done { get; init; }

        public FindingRecord ToModel() => new(
            Id,
            new(new(EnumText.Parse<FindingKind>(Kind), Subject), Place, Detail, FirstSeenAt, LastSeenAt), RepairedAt, GoneAt, Done);
    }
}

/// <summary>A finding and what became of it.</summary>
/// <param name="Id">Names it for good.</param>
/// <param name="Finding">What was seen.</param>
/// <param name="RepairedAt">When it was put in order; null when it was not.</param>
/// <param name="GoneAt">When a look did not see it any more, though nothing had been done; null otherwise.</param>
/// <param name="Done">What was done about it, or tried in vain; null when nothing was.</param>
public sealed record FindingRecord(long Id, Finding Finding, DateTimeOffset? RepairedAt, DateTimeOffset? GoneAt, string? Done);

/// <summary>Which findings a list is asked for; null asks for all.</summary>
/// <param name="Kind">Of this kind.</param>
/// <param name="Open">True: neither repaired nor gone. False: ended.</param>
public sealed record FindingFilter(FindingKind? Kind = null, bool? Open = null);
