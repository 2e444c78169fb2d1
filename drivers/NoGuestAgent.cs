using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers;

/// <summary>A server without a guest agent (address <c>none</c>): it cannot be frozen, so it never is.</summary>
public sealed class NoGuestAgent(TimeProvider time) : IGuestAgent
{
    private const string Reason = "the server has no guest agent (its agent address is 'none'); install qemu-guest-agent in the guest and set the address to freeze it";

    /// <inheritdoc/>
    public Task<GuestProbe> ProbeAsync(CancellationToken ct) =>
        Task.FromResult(new GuestProbe(Answers: false, Version: null, CanFreeze: false, Status: null, Reason));

    /// <summary>Always refused with <see cref="ErrorKind.BackendRefused"/>.</summary>
    public Task<GuestFreeze> FreezeAsync(CancellationToken ct) =>
        Task.FromException<GuestFreeze>(new SnapshotFlowException(ErrorKind.BackendRefused, $"freeze refused: {Reason}"));

    /// <summary>Always succeeds: nothing was frozen.</summary>
    public Task<GuestThaw> ThawAsync(CancellationToken ct) => Task.FromResult(new GuestThaw(0, time.GetUtcNow(), WasFrozen: false));

    /// <summary>Always thawed.</summary>
    public Task<GuestFreezeStatus> StatusAsync(CancellationToken ct) => Task.FromResult(GuestFreezeStatus.Thawed);
}
