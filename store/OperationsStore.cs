using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>How things stand over all projects, for metrics and for the operator's first look.</summary>
public sealed class OperationsStore(Database database)
{
    /// <summary>How things stand now.</summary>
    public Task<OperationsLevels> ReadAsync(CancellationToken cancellationToken)
    {
        const string Levels = """
            SELECT
              (SELECT count(*) FROM runs WHERE status = 'running') AS running,
              (SELECT count(*) FROM runs WHERE status = 'compensation_failed' AND leftovers <> '[]') AS with_leftovers,
              (SELECT count(DISTINCT image_id) FROM quota_reservations) AS reservations,
              (SELECT count(*) FROM notifications WHERE delivered_at IS NULL) AS undelivered,
              (SELECT min(created_at) FROM notifications WHERE delivered_at IS NULL) AS oldest_undelivered_at,
              (SELECT max(ended_at) FROM runs WHERE status = 'completed') AS last_success_at
            """;
        const string Findings = """
            SELECT kind, count(*) AS open FROM reconcile_findings WHERE repaired_at IS NULL AND gone_at IS NULL GROUP BY kind
            """;
        return database.ReadAsync(
            async s =>
            {
                var levels = (await s.SingleOrDefaultAsync<LevelsRow>(Levels))!;
                var open = await s.ListAsync<FindingsRow>(Findings);
                return new OperationsLevels(
                    levels.Running, levels.WithLeftovers, levels.Reservations, levels.Undelivered, levels.OldestUndeliveredAt, levels.LastSuccessAt,
                    open.ToDictionary(f => EnumText.Parse<FindingKind>(f.Kind), f => f.Open));
            },
            cancellationToken);
    }

    private sealed record LevelsRow
    {
        public long Running { get; init; }

        public long WithLeftovers { get; init; }

        public long Reservations { get; init; }

        public long Undelivered { get; init; }

        public DateTimeOffset? OldestUndeliveredAt { get; init; }

        public DateTimeOffset? LastSuccessAt { get; init; }
    }

    private sealed record FindingsRow
    {
        public string Kind { get; init; } = "";

        public long Open { get; init; }
    }
}

/// <summary>How things stand over all projects.</summary>
/// <param name="Running">Runs that have not ended.</param>
/// <param name="WithLeftovers">Runs that ended and left something behind which nobody has put in order since.</param>
/// <param name="Reservations">Images with an open quota reservation.</param>
/// <param name="Undelivered">Notifications that wait in the outbox.</param>
/// <param name="OldestUndeliveredAt">Since when the oldest of them waits; null when none does.</param>
/// <param name="LastSuccessAt">When the last run completed; null when none ever has.</param>
/// <param name="Findings">Open findings of the reconciler; a kind without any is absent.</param>
public sealed record OperationsLevels(
    long Running, long WithLeftovers, long Reservations, long Undelivered, DateTimeOffset? OldestUndeliveredAt, DateTimeOffset? LastSuccessAt,
    IReadOnlyDictionary<FindingKind, long> Findings);
