using SnapshotFlow.Model;

namespace SnapshotFlow.Store;

/// <summary>How things stand over all projects, for metrics and for the operator's first look.</summary>
public sealed class StandingStore(Database database)
{
    /// <summary>The most server groups that are told apart.</summary>
    public const int MostGroups = 500;

    /// <inheritdoc cref="ReadAsync(int, CancellationToken)"/>
    public Task<Standing> ReadAsync(CancellationToken cancellationToken) => ReadAsync(MostGroups, cancellationToken);

    /// <summary>How things stand now.</summary>
    /// <param name="mostGroups">The most server groups that are told apart, by name; all others are one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<Standing> ReadAsync(int mostGroups, CancellationToken cancellationToken)
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
        // Groups beyond the most are one: of each time the earliest, so that the group that is worst off is not hidden by the others.
        const string Groups = """
            WITH members AS (
              SELECT server_group, created_at, (SELECT max(ended_at) FROM runs WHERE server_id = servers.id AND status = 'completed') AS last_success_at
              FROM servers
              WHERE server_group IS NOT NULL AND vm_state <> 'deleted'
            ), groups AS (
              SELECT server_group, min(created_at) AS registered_at, max(last_success_at) AS last_success_at, row_number() OVER (ORDER BY server_group COLLATE "C") AS number
              FROM members
              GROUP BY server_group
            )
            SELECT CASE WHEN number <= @Most THEN server_group END AS name, min(last_success_at) AS last_success_at,
                   min(registered_at) FILTER (WHERE last_success_at IS NULL) AS without_success_since
            FROM groups
            GROUP BY name
            ORDER BY name
            """;
        return database.ReadAsync(
            async s =>
            {
                var levels = (await s.SingleOrDefaultAsync<LevelsRow>(Levels))!;
                var open = await s.ListAsync<FindingsRow>(Findings);
                var groups = await s.ListAsync<ServerGroupLevels>(Groups, new { Most = mostGroups });
                return new Standing(
                    levels.Running, levels.WithLeftovers, levels.Reservations, levels.Undelivered, levels.OldestUndeliveredAt, levels.LastSuccessAt,
                    open.ToDictionary(f => EnumText.Parse<FindingKind>(f.Kind), f => f.Open), groups);
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
/// <param name="Groups">Server groups that have servers, by name.</param>
public sealed record Standing(
    long Running, long WithLeftovers, long Reservations, long Undelivered, DateTimeOffset? OldestUndeliveredAt, DateTimeOffset? LastSuccessAt,
    IReadOnlyDictionary<FindingKind, long> Findings, IReadOnlyList<ServerGroupLevels> Groups);

/// <summary>How a server group stands: when the images of its servers were made.</summary>
public sealed record ServerGroupLevels
{
    /// <summary>Its name; null for all groups together that are not told apart.</summary>
    public string? Name { get; init; }

    /// <summary>When a run of one of its servers last completed; null when none ever has. Of several groups the earliest.</summary>
    public DateTimeOffset? LastSuccessAt { get; init; }

    /// <summary>When the first of its servers was registered, if none of their runs ever completed. Of several groups the earliest.</summary>
    public DateTimeOffset? WithoutSuccessSince { get; init; }
}
