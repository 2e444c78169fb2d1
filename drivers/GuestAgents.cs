using System.Collections.Concurrent;
using SnapshotFlow.Drivers.Libvirt;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers;

/// <summary>The one place that lists the guest agents there are. Make one per process: it is what lets callers of one agent queue.</summary>
public sealed class GuestAgents : IGuestAgents
{
    private const string None = "none", QgaOnUnixSocket = "qga:unix:", ThroughLibvirt = "libvirt:";

    private readonly QgaOptions qga;
    private readonly TimeProvider time;
    private readonly ConcurrentDictionary<string, IGuestAgent> agents = new(StringComparer.Ordinal);

    /// <summary>Agents with these deadlines.</summary>
    /// <param name="qga">For QEMU guest agents; validated here.</param>
    /// <param name="time">Measures deadlines and gives the instants in the answers.</param>
    /// <param name="section">Configuration path of <paramref name="qga"/>, for messages.</param>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/>: keys are wrong.</exception>
    public GuestAgents(QgaOptions qga, TimeProvider time, string section = "GuestAgent")
    {
        if (qga.Validate(section) is { Count: > 0 } wrong)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, string.Join(Environment.NewLine, wrong));
        }

        this.qga = qga;
        this.time = time;
    }

    /// <inheritdoc/>
    public IGuestAgent Open(string? address) => agents.GetOrAdd(string.IsNullOrEmpty(address) ? None : address, Make);

    private IGuestAgent Make(string address) =>
        address == None ? new NoGuestAgent(time)
        : address.StartsWith(QgaOnUnixSocket, StringComparison.Ordinal) ? new QgaGuestAgent(address[QgaOnUnixSocket.Length..], qga, time)
        : address.StartsWith(ThroughLibvirt, StringComparison.Ordinal) && LibvirtDomain.TryParse(address[ThroughLibvirt.Length..], out var domain)
            ? new QgaGuestAgent(address, ct => LibvirtChannel.OpenAsync(domain, qga, ct), qga, time)
        : throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"'{address}' is not a guest agent address; use '{QgaOnUnixSocket}/absolute/path', '{ThroughLibvirt}URI#DOMAIN' (such as libvirt:qemu:///system#instance-00000001) or '{None}'");
}
