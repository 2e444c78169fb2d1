namespace SnapshotFlow.Model;

/// <summary>A kind of volume that users choose by name, for example by speed.</summary>
public sealed record VolumeType
{
    /// <summary>The id.</summary>
    public required Guid Id { get; init; }

    /// <summary>By which volumes name it; unique, 1 to 255 characters.</summary>
    public required string Name { get; init; }

    /// <summary>For users; at most 255 characters.</summary>
    public string? Description { get; init; }

    /// <summary>Whether every project may use it.</summary>
    public bool IsPublic { get; init; } = true;

    /// <summary>What it means to the back end; for administrators.</summary>
    public IReadOnlyDictionary<string, string> ExtraSpecs { get; init; } = new Dictionary<string, string>();
}
