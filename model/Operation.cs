using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace SnapshotFlow.Model;

/// <summary>Something done to an image after it was made: its deletion, or a restore.</summary>
[JsonConverter(typeof(IdJsonConverter<OperationId>))]
public readonly record struct OperationId(Guid Value) : IId<OperationId>
{
    /// <inheritdoc/>
    public static OperationId From(Guid value) => new(value);

    /// <summary>A new random id.</summary>
    public static OperationId New() => new(Guid.NewGuid());

    /// <inheritdoc/>
    public static OperationId Parse(string s, IFormatProvider? provider = null) => IId<OperationId>.TryParse(s, out var id) ? id : throw new FormatException($"'{s}' is not a UUID");

    /// <inheritdoc/>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out OperationId result) => IId<OperationId>.TryParse(s, out result);

    /// <summary>The canonical form, lower case.</summary>
    public override string ToString() => Value.ToString("D");
}

/// <summary>What is done to an image after it was made. Stored as the spelling given here.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<OperationKind>))]
public enum OperationKind
{
    /// <summary>The image goes, and its snapshots with it unless they are kept.</summary>
    [JsonStringEnumMemberName("delete_image")] DeleteImage,

    /// <summary>A set of new volumes is made, one from each snapshot.</summary>
    [JsonStringEnumMemberName("restore_image")] RestoreImage,
}

/// <summary>An operation on an image as the records know it.</summary>
public sealed record Operation
{
    /// <summary>Its id.</summary>
    public required OperationId Id { get; init; }

    /// <summary>What is done.</summary>
    public required OperationKind Kind { get; init; }

    /// <summary>The image.</summary>
    public required ImageId ImageId { get; init; }

    /// <summary>The project of who asked; nobody else sees it, but administrators.</summary>
    public required string ProjectId { get; init; }

    /// <summary>Who asked.</summary>
    public required string UserId { get; init; }

    /// <summary><c>req-…</c>.</summary>
    public required string RequestId { get; init; }

    /// <summary>Where it stands or how it ended.</summary>
    public required RunStatus Status { get; init; }

    /// <summary>Why it did not complete.</summary>
    public Refusal? Reason { get; init; }

    /// <summary>The volumes that a restore makes; empty for a deletion.</summary>
    public IReadOnlyList<RestoredVolume> Volumes { get; init; } = [];

    /// <summary>What could not be deleted or undone.</summary>
    public IReadOnlyList<Leftover> Leftovers { get; init; } = [];

    /// <summary>When it began.</summary>
    public DateTimeOffset StartedAt { get; init; }

    /// <summary>When it ended; null while it goes on.</summary>
    public DateTimeOffset? EndedAt { get; init; }
}

/// <summary>A volume that a restore makes.</summary>
/// <param name="Volume">The new volume.</param>
/// <param name="Snapshot">The snapshot it is made from.</param>
/// <param name="DeviceName">Where the image's server saw the original, for example <c>/dev/vda</c>; null when the image does not say.</param>
/// <param name="BootIndex">0 for the root; null or negative for what is not booted from.</param>
/// <param name="SizeGib">GiB.</param>
public sealed record RestoredVolume(VolumeId Volume, SnapshotId Snapshot, string? DeviceName, int? BootIndex, int SizeGib);
