using System.Globalization;

namespace SnapshotFlow.Model;

/// <summary>A virtual server as the records know it.</summary>
public sealed record Server
{
    /// <summary>Its id.</summary>
    public required ServerId Id { get; init; }

    /// <summary>The project it belongs to.</summary>
    public required string ProjectId { get; init; }

    /// <summary>The user who made it.</summary>
    public required string UserId { get; init; }

    /// <summary>Display name.</summary>
    public required string Name { get; init; }

    /// <summary>The hypervisor; null when it runs nowhere.</summary>
    public string? Host { get; init; }

    /// <summary>What it is.</summary>
    public required VmState VmState { get; init; }

    /// <summary>What is being done to it; null when nothing is. See <see cref="Model.TaskState"/>.</summary>
    public string? TaskState { get; init; }

    /// <summary>The image whose run holds <see cref="TaskState"/>; null when none of ours does.</summary>
    public ImageId? TaskImage { get; init; }

    /// <summary>For example <c>/dev/vda</c>; null when it has none.</summary>
    public string? RootDeviceName { get; init; }

    /// <summary>The image it was made from; null or empty for one that was made from a volume.</summary>
    public string? ImageRef { get; init; }

    /// <summary>Nova's system metadata: what of the original image it carries (<c>image_…</c>), and run-time notes.</summary>
    public IReadOnlyDictionary<string, string?> SystemMetadata { get; init; } = new Dictionary<string, string?>();

    /// <summary>Locked against change and deletion. An image may be made of a locked server.</summary>
    public bool Locked { get; init; }

    /// <summary>When it first ran; null when it never did.</summary>
    public DateTimeOffset? LaunchedAt { get; init; }

    /// <summary>Address of the guest agent on <see cref="Host"/>, for example <c>qga:unix:/run/guest.sock</c>; null when it has none.</summary>
    public string? GuestAgentAddress { get; init; }

    /// <summary>The group of servers that it belongs to, a name of 1 to 64 characters; null for none. Nova: server group, which has an id there.</summary>
    public string? ServerGroup { get; init; }

    /// <summary>When it was registered.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its record last changed.</summary>
    public DateTimeOffset? UpdatedAt { get; init; }

    /// <summary>Whether its image demands that it is frozen for a snapshot.</summary>
    public bool RequiresQuiesce => ImageProperty("os_require_quiesce") is { } text && IsTrue(text);

    /// <summary>
    /// The longest freeze that its image asks for, unless a request says otherwise: the image property <c>snapshotflow_freeze_deadline</c>, in seconds. Null when
    /// it does not say.
    /// </summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/>: not a number of seconds that a freeze may last.</exception>
    public TimeSpan? RequestedFreezeDeadline => ImageProperty("snapshotflow_freeze_deadline") is not { } text ? null
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds)
            && seconds >= FreezeDeadline.Minimum.TotalSeconds && seconds <= FreezeDeadline.Maximum.TotalSeconds ? TimeSpan.FromSeconds(seconds)
        : throw new SnapshotFlowException(
            ErrorKind.InvalidRequest,
            $"Instance {Id} has the image property snapshotflow_freeze_deadline = '{text}'; it must be a number of seconds between "
            + $"{FreezeDeadline.Minimum.TotalSeconds} and {FreezeDeadline.Maximum.TotalSeconds}.");

    /// <summary>
    /// Where its guest agent listens: the registered address, unless its image says that there is no agent (<c>hw_qemu_guest_agent</c> is there and false).
    /// Nova demands the property to be true; here a registered address says as much.
    /// </summary>
    public string? AgentAddress => ImageProperty("hw_qemu_guest_agent") is { } text && !IsTrue(text) ? null : GuestAgentAddress;

    private string? ImageProperty(string name) => SystemMetadata.GetValueOrDefault("image_" + name);

    // Source: oslo.utils, bool_from_string, which Nova uses for both properties.
    private static bool IsTrue(string text) => text.Trim().ToLowerInvariant() is "1" or "t" or "true" or "on" or "y" or "yes";
}
