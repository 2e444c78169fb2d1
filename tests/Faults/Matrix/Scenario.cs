namespace SnapshotFlow.Tests.Faults.Matrix;

/// <summary>A step of a scenario.</summary>
/// <param name="Name">The activity.</param>
/// <param name="WhileFrozen">Whether the guest may be frozen at it, so that runs must not be kept there for long before the fault.</param>
/// <param name="Halves">Whether it has a middle at which it can be held.</param>
/// <param name="Driver">Whether its middle is a call of a storage driver, which may take many minutes as long as its worker lives.</param>
/// <param name="Forward">Whether it only writes down what has been done, so that nothing can be undone when it is refused.</param>
public sealed record ScenarioStep(string Name, bool WhileFrozen = false, bool Halves = true, bool Driver = false, bool Forward = false)
{
    /// <summary>Before, during, after.</summary>
    public IEnumerable<Boundary> Boundaries => Enum.GetValues<Phase>().Where(p => Halves || p is not Phase.During).Select(p => new Boundary(Name, p));
}

/// <summary>What a run does while faults happen to it: steps as data, so that a process that comes later adds its own.</summary>
/// <param name="Name">In the names of cases.</param>
/// <param name="Steps">The steps at which runs are held.</param>
/// <param name="Trips">A step that fails for good wherever it is done, so that everything is undone; null when nothing fails by itself.</param>
/// <param name="Sampled">Whether samples and pairs have it; of the others there are all single faults, and only in the whole matrix.</param>
public sealed record Scenario(string Name, IReadOnlyList<ScenarioStep> Steps, string? Trips = null, bool Sampled = true)
{
    /// <summary>An image of a running server.</summary>
    public static readonly Scenario Create = new("create",
    [
        new("PrepareImage"), new("CheckQuota"), new("ReserveRecords"), new("ProbeGuest"),
        new("Quiesce", WhileFrozen: true), new("CreateVolumeSnapshot", WhileFrozen: true, Driver: true), new("Unquiesce", WhileFrozen: true),
        new("CopyGlanceMetadata"), new("CompleteSnapshots"), new("CreateImageRecord"),
    ]);

    /// <summary>An image of a running server of which one volume cannot be cut: everything is undone.</summary>
    public static readonly Scenario Undo = new("undo",
    [
        new("Unquiesce", WhileFrozen: true), new("DeleteVolumeSnapshot", Driver: true), new("RemoveRecords"), new("ReleaseQuota"), new("ReleaseServer"), new("CloseRun"),
    ], Trips: "CreateVolumeSnapshot");

    /// <summary>An image is deleted, and its snapshots.</summary>
    public static readonly Scenario Delete = new("delete", [new("BeginDeleteImage"), new("DeleteVolumeSnapshot", Driver: true), new("EndDeleteImage", Forward: true)]);

    /// <summary>New volumes from an image.</summary>
    public static readonly Scenario Restore = new("restore", [new("PrepareRestore"), new("CreateVolumeFromSnapshot", Driver: true), new("CompleteRestore")]);

    /// <summary>New volumes from an image, of which one cannot be made: everything is undone.</summary>
    public static readonly Scenario RestoreUndo = new("restore-undo", [new("DeleteVolume", Driver: true), new("UndoRestore"), new("CloseRestore")], Trips: "CreateVolumeFromSnapshot");

    /// <summary>A snapshot of one volume, on its own.</summary>
    public static readonly Scenario Snapshot = new(
        "snapshot", [new("AdmitSnapshot"), new("CreateVolumeSnapshot", Driver: true), new("CopyGlanceMetadata"), new("CompleteSnapshot")], Sampled: false);

    /// <summary>A snapshot of one volume that cannot be cut: it is left as <c>error</c>.</summary>
    public static readonly Scenario SnapshotUndo = new(
        "snapshot-undo", [new("DeleteVolumeSnapshot", Driver: true), new("FailSnapshot")], Trips: "CreateVolumeSnapshot", Sampled: false);

    /// <summary>A snapshot that was made on its own is deleted.</summary>
    public static readonly Scenario DeleteSnapshot = new(
        "delete-snapshot", [new("BeginDeleteSnapshot"), new("DeleteVolumeSnapshot", Driver: true), new("EndDeleteSnapshot", Forward: true)], Sampled: false);

    /// <summary>Every scenario there is.</summary>
    public static IReadOnlyList<Scenario> All { get; } = [Create, Undo, Delete, Restore, RestoreUndo, Snapshot, SnapshotUndo, DeleteSnapshot];

    /// <summary>Where runs whose boundary comes while the guest is frozen wait for the others: shortly before the freeze, in a step that may take long enough.</summary>
    public static readonly Boundary Stage = new("ReserveRecords", Phase.Before);

    /// <summary>Every boundary, in the order in which a run gets to them.</summary>
    public IEnumerable<Boundary> Boundaries => Steps.SelectMany(s => s.Boundaries);

    /// <summary>The scenario of a name.</summary>
    public static Scenario Named(string name) => All.FirstOrDefault(s => s.Name == name)
        ?? throw new ArgumentException($"there is no scenario '{name}': there are {string.Join(", ", All.Select(s => s.Name))}", nameof(name));

    /// <summary>Whether a boundary is in a step that can only be repeated.</summary>
    public bool IsForwardAt(Boundary boundary) => Steps.Any(s => s.Name == boundary.Step && s.Forward);

    /// <summary>Whether somebody waits in a driver at a boundary.</summary>
    public bool IsInDriverAt(Boundary boundary) => boundary.Phase is Phase.During && Steps.Any(s => s.Name == boundary.Step && s.Driver);

    /// <summary>Whether the guest may be frozen at a boundary.</summary>
    public bool MayBeFrozenAt(Boundary boundary) => Steps.Any(s => s.Name == boundary.Step && s.WhileFrozen);
}
