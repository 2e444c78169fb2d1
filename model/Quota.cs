namespace SnapshotFlow.Model;

/// <summary>
/// Names and arithmetic of quotas. Source: Cinder; the numbers are what its services come with. A limit of −1 is none, and reaching a limit exactly is allowed.
/// </summary>
public static class Quota
{
    /// <summary>Counts snapshots.</summary>
    public const string Snapshots = "snapshots";

    /// <summary>Counts GiB of volumes and of snapshots together.</summary>
    public const string Gigabytes = "gigabytes";

    /// <summary>Counts volumes.</summary>
    public const string Volumes = "volumes";

    /// <summary>GiB of the largest volume that a project may make: a limit of each, of which nothing is used up.</summary>
    public const string PerVolumeGigabytes = "per_volume_gigabytes";

    /// <summary>No limit.</summary>
    public const int Unlimited = -1;

    /// <summary>The largest total that Cinder's columns hold.</summary>
    public const long MaxTotal = int.MaxValue;

    /// <summary>The name of a resource for one volume type.</summary>
    public static string OfType(string resource, string volumeType) => $"{resource}_{volumeType}";

    /// <summary>The limit of a project that was given none of its own: 10 snapshots, 10 volumes, 1000 GiB, and no limit per volume or volume type.</summary>
    public static int DefaultLimit(string resource) => resource switch
    {
        Snapshots or Volumes => 10,
        Gigabytes => 1000,
        _ => Unlimited,
    };

    /// <summary>What cutting the volumes adds, per project and resource, in the order of both names.</summary>
    public static IReadOnlyList<QuotaDelta> Of(IEnumerable<VolumeToCut> volumes) =>
    [
        .. volumes
            .SelectMany(v => Resources(v).Select(r => (v.ProjectId, r.Resource, r.Amount)))
            .GroupBy(x => (x.ProjectId, x.Resource), x => (long)x.Amount)
            .Select(g => new QuotaDelta(g.Key.ProjectId, g.Key.Resource, g.Sum()))
            .OrderBy(d => d.ProjectId, StringComparer.Ordinal).ThenBy(d => d.Resource, StringComparer.Ordinal),
    ];

    /// <summary>The refusal as the Block Storage API words it: of several resources that are over, the first by name.</summary>
    public static SnapshotFlowException ExceededInBlockStorage(IReadOnlyList<QuotaOverrun> overruns) => new(ErrorKind.QuotaExceeded, overruns[0].BlockStorageMessage);

    /// <summary>The refusal of a volume that is larger than any may be.</summary>
    public static SnapshotFlowException VolumeTooLarge(int sizeGib, int limit) =>
        new(ErrorKind.QuotaExceeded, $"VolumeSizeExceedsLimit: Requested volume size {sizeGib}G is larger than maximum allowed limit {limit}G.");

    /// <summary>What one snapshot adds, in the order of the resources' names.</summary>
    public static IReadOnlyList<QuotaDelta> OfSnapshot(string projectId, int sizeGib, string? volumeType) => Deltas(projectId, Snapshots, [(sizeGib, volumeType)]);

    /// <summary>What new volumes of one project add, in the order of the resources' names.</summary>
    public static IReadOnlyList<QuotaDelta> OfVolumes(string projectId, IEnumerable<(int SizeGib, string? VolumeType)> volumes) => Deltas(projectId, Volumes, volumes);

    /// <summary>Which of the additions would pass a limit, in the order of the resources' names; empty when all fit.</summary>
    /// <param name="deltas">What is to be added.</param>
    /// <param name="levels">Limit and usage of every project and resource that is named in <paramref name="deltas"/>.</param>
    public static IReadOnlyList<QuotaOverrun> Overruns(IEnumerable<QuotaDelta> deltas, IEnumerable<QuotaLevel> levels)
    {
        var level = levels.ToDictionary(l => (l.ProjectId, l.Resource));
        return
        [
            .. deltas.Select(d => new QuotaOverrun(d, level[(d.ProjectId, d.Resource)]))
                .Where(o => o.IsOver).OrderBy(o => o.Delta.Resource, StringComparer.Ordinal).ThenBy(o => o.Delta.ProjectId, StringComparer.Ordinal),
        ];
    }

    /// <summary>
    /// The refusal as the Compute API words it. Nova always says "snapshots", whatever is over, and no numbers; naming the resources that really are, and how far, is a
    /// deliberate deviation.
    /// </summary>
    public static SnapshotFlowException Exceeded(IReadOnlyList<QuotaOverrun> overruns) => new(
        ErrorKind.QuotaExceeded,
        $"Quota exceeded for resources: {string.Join(", ", overruns.Select(o => o.Delta.Resource).Distinct())} ({string.Join("; ", overruns.Select(o => o.HowFar))})");

    private static IReadOnlyList<QuotaDelta> Deltas(string projectId, string counted, IEnumerable<(int SizeGib, string? VolumeType)> things) =>
    [
        .. things
            .SelectMany(t => (IEnumerable<(string Resource, long Amount)>)(t.VolumeType is { } type
                ? [(counted, 1), (Gigabytes, t.SizeGib), (OfType(counted, type), 1), (OfType(Gigabytes, type), t.SizeGib)]
                : [(counted, 1), (Gigabytes, t.SizeGib)]))
            .GroupBy(x => x.Resource, x => x.Amount)
            .Select(g => new QuotaDelta(projectId, g.Key, g.Sum()))
            .OrderBy(d => d.Resource, StringComparer.Ordinal),
    ];

    private static IEnumerable<(string Resource, int Amount)> Resources(VolumeToCut volume)
    {
        yield return (Snapshots, 1);
        yield return (Gigabytes, volume.SizeGib);
        if (volume.VolumeType is { } type)
        {
            yield return (OfType(Snapshots, type), 1);
            yield return (OfType(Gigabytes, type), volume.SizeGib);
        }
    }
}

/// <summary>An addition to what a project uses.</summary>
/// <param name="ProjectId">The project.</param>
/// <param name="Resource">For example <c>gigabytes_fast</c>.</param>
/// <param name="Amount">Pieces or GiB, never negative.</param>
public sealed record QuotaDelta(string ProjectId, string Resource, long Amount);

/// <summary>How a project stands in one resource.</summary>
/// <param name="ProjectId">The project.</param>
/// <param name="Resource">The resource.</param>
/// <param name="Limit">−1 for none.</param>
/// <param name="InUse">What its live rows add up to, those under an open reservation excepted.</param>
/// <param name="Reserved">What open reservations add up to.</param>
public sealed record QuotaLevel(string ProjectId, string Resource, int Limit, long InUse, long Reserved);

/// <summary>An addition and the level it meets.</summary>
/// <param name="Delta">The addition.</param>
/// <param name="Level">The level before.</param>
public sealed record QuotaOverrun(QuotaDelta Delta, QuotaLevel Level)
{
    private long Total => Level.InUse + Level.Reserved + Delta.Amount;

    /// <summary>Whether the limit, or the largest total that can be counted, would be passed. Exactly at the limit is not.</summary>
    public bool IsOver => Total > Quota.MaxTotal || (Level.Limit >= 0 && Level.Limit < Total);

    /// <summary>What is asked for, what is taken, and of how much.</summary>
    public string HowFar => $"{Delta.Resource}: {Delta.Amount} more, {Level.InUse + Level.Reserved} of {(Level.Limit < 0 ? Quota.MaxTotal : Level.Limit)} taken";

    /// <summary>The refusal as the Block Storage API words it. Source: Cinder; of several, the first in the order of names is reported.</summary>
    public string BlockStorageMessage =>
        Total > Quota.MaxTotal ? $"QuotaUsageOverflow: Quota usage would overflow for resources: {Delta.Resource}."
        : Delta.Resource.StartsWith(Quota.Gigabytes, StringComparison.Ordinal)
            ? $"VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {Delta.Resource} quota. Requested {Delta.Amount}G, "
              + $"quota is {Level.Limit}G and {Level.InUse + Level.Reserved}G has been consumed."
            : Delta.Resource.StartsWith(Quota.Volumes, StringComparison.Ordinal)
                ? $"VolumeLimitExceeded: Maximum number of volumes allowed ({Level.Limit}) exceeded for quota '{Delta.Resource}'."
            : $"SnapshotLimitExceeded: Maximum number of snapshots allowed ({Level.Limit}) exceeded";
}
