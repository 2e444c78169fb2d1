using System.Runtime.InteropServices;
using System.Text.Json;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Libvirt;

/// <summary>
/// A conversation with a domain's guest agent through libvirt, which holds the agent's socket where it manages the domain: a second client would get no answer.
/// <para>Freeze and thaw go through libvirt's own calls, so that it knows of them; the rest as agent commands, which it passes on and notes in the domain's log
/// as such. Its calls block: each has a thread of its own, and one that does not end in time is left to itself.</para>
/// </summary>
internal sealed class LibvirtChannel : IQgaChannel
{
    private static readonly Lazy<bool> Quiet = new(() =>
    {
        unsafe
        {
            Libvirt.virSetErrorFunc(null, &Libvirt.Ignore);
        }

        return true;
    });

    private readonly LibvirtConnection connection;
    private readonly LibvirtDomainHandle domain;
    private readonly int seconds;

    private LibvirtChannel(LibvirtConnection connection, LibvirtDomainHandle domain, int seconds)
    {
        this.connection = connection;
        this.domain = domain;
        this.seconds = seconds;
    }

    /// <summary>Connects and finds the domain.</summary>
    public static Task<IQgaChannel> OpenAsync(LibvirtDomain domain, QgaOptions options, CancellationToken ct) => RunAsync(() =>
    {
        _ = Quiet.Value;
        var connection = Libvirt.virConnectOpen(domain.Uri);
        if (connection.IsInvalid)
        {
            throw Failed("virConnectOpen", domain.Uri);
        }

        var found = Guid.TryParse(domain.Name, out _) ? Libvirt.virDomainLookupByUUIDString(connection, domain.Name) : Libvirt.virDomainLookupByName(connection, domain.Name);
        if (found.IsInvalid)
        {
            var failure = Failed("virDomainLookup", domain.Name);
            connection.Dispose();
            throw failure;
        }

        // libvirt counts whole seconds; our own deadline ends the call to the millisecond.
        var seconds = (int)Math.Ceiling(Math.Max(options.CallTimeout.TotalSeconds, options.FreezeTimeout.TotalSeconds));
        _ = Libvirt.virDomainAgentSetResponseTimeout(found, seconds, 0);
        return (IQgaChannel)new LibvirtChannel(connection, found, seconds);
    }, ct);

    /// <inheritdoc/>
    public Task<JsonElement> CallAsync(string command, CancellationToken ct) => RunAsync(() => Call(command), ct);

    public void Dispose()
    {
        domain.Dispose();
        connection.Dispose();
    }

    private unsafe JsonElement Call(string command)
    {
        switch (command)
        {
            case "guest-fsfreeze-freeze":
                return Count(Libvirt.virDomainFSFreeze(domain, null, 0, 0), command);
            case "guest-fsfreeze-thaw":
                return Count(Libvirt.virDomainFSThaw(domain, null, 0, 0), command);
        }

        var answer = Libvirt.virDomainQemuAgentCommand(domain, JsonSerializer.Serialize(new { execute = command }), seconds, 0);
        if (answer is null)
        {
            throw Failed(command, "agent");
        }

        try
        {
            return JsonSerializer.Deserialize<JsonElement>(Marshal.PtrToStringUTF8((nint)answer)!).TryGetProperty("return", out var result)
                ? result
                : throw new QgaProtocolException($"the answer to {command} has no 'return'");
        }
        catch (JsonException e)
        {
            throw new QgaProtocolException($"the answer to {command} is not JSON", e);
        }
        finally
        {
            NativeMemory.Free(answer);
        }
    }

    private static JsonElement Count(int count, string command) => count >= 0 ? JsonSerializer.SerializeToElement(count) : throw Failed(command, "agent");

    /// <summary>The one table from libvirt's error codes. Must be asked on the thread of the failed call.</summary>
    private static unsafe Exception Failed(string call, string subject)
    {
        var said = Marshal.PtrToStringUTF8((nint)Libvirt.virGetLastErrorMessage()) ?? "no reason given";
        return Libvirt.virGetLastErrorCode() switch
        {
            // What the agent answered comes as an error of libvirt's own, with the agent's words.
            Libvirt.InternalError when said.Contains("agent command", StringComparison.Ordinal) => new QgaErrorException(call, "libvirt", said),
            Libvirt.NoDomain or Libvirt.OperationInvalid => new QgaProtocolException($"{call} of {subject}: {said}; is the domain defined there, and does it run?"),
            var code => new QgaProtocolException($"{call} of {subject}: {said} (libvirt error {code})"),
        };
    }

    private static async Task<T> RunAsync<T>(Func<T> call, CancellationToken ct)
    {
        var running = Task.Factory.StartNew(call, ct, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
        try
        {
            return await running.WaitAsync(ct).ConfigureAwait(false);
        }
        catch (DllNotFoundException e)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, "libvirt's client library is not installed on this host: apt-get install libvirt0", e);
        }
    }
}
