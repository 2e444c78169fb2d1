using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotFlow.Drivers.Libvirt;

/// <summary>
/// The calls of <c>libvirt.so.0</c> and <c>libvirt-qemu.so.0</c> that are made here. A failed call leaves its reason with the thread that made it. Source: libvirt's
/// <c>libvirt/libvirt-domain.h</c>, <c>libvirt-qemu.h</c> and <c>virterror.h</c>; stable since 1.2.5.
/// </summary>
internal static unsafe partial class Libvirt
{
    private const string Library = "libvirt.so.0", QemuLibrary = "libvirt-qemu.so.0";

    /// <summary>Source: <c>VIR_ERR_INTERNAL_ERROR</c>: also what the agent itself said.</summary>
    public const int InternalError = 1;

    /// <summary>Source: <c>VIR_ERR_NO_DOMAIN</c>, <c>VIR_ERR_OPERATION_INVALID</c>: there is none of that name, or it does not run.</summary>
    public const int NoDomain = 42, OperationInvalid = 55;

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial LibvirtConnection virConnectOpen(string uri);

    [LibraryImport(Library)]
    public static partial int virConnectClose(nint connection);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial LibvirtDomainHandle virDomainLookupByName(LibvirtConnection connection, string name);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial LibvirtDomainHandle virDomainLookupByUUIDString(LibvirtConnection connection, string uuid);

    [LibraryImport(Library)]
    public static partial int virDomainFree(nint domain);

    [LibraryImport(Library)]
    public static partial int virDomainAgentSetResponseTimeout(LibvirtDomainHandle domain, int seconds, uint flags);

    [LibraryImport(Library)]
    public static partial int virDomainFSFreeze(LibvirtDomainHandle domain, byte** mountPoints, uint count, uint flags);

    [LibraryImport(Library)]
    public static partial int virDomainFSThaw(LibvirtDomainHandle domain, byte** mountPoints, uint count, uint flags);

    /// <summary>The answer, to be freed; null when it failed.</summary>
    [LibraryImport(QemuLibrary, StringMarshalling = StringMarshalling.Utf8)]
    public static partial byte* virDomainQemuAgentCommand(LibvirtDomainHandle domain, string command, int seconds, uint flags);

    [LibraryImport(Library)]
    public static partial int virGetLastErrorCode();

    [LibraryImport(Library)]
    public static partial byte* virGetLastErrorMessage();

    /// <summary>Without a function of ours, errors are printed.</summary>
    [LibraryImport(Library)]
    public static partial void virSetErrorFunc(void* state, delegate* unmanaged[Cdecl]<void*, void*, void> function);

    [UnmanagedCallersOnly(CallConvs = [typeof(System.Runtime.CompilerServices.CallConvCdecl)])]
    public static void Ignore(void* state, void* error)
    {
    }
}

/// <summary>A connection to a libvirt daemon.</summary>
internal sealed class LibvirtConnection() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
{
    protected override bool ReleaseHandle() => Libvirt.virConnectClose(handle) >= 0;
}

/// <summary>A domain; libvirt itself keeps its connection as long as it is there.</summary>
internal sealed class LibvirtDomainHandle() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
{
    protected override bool ReleaseHandle() => Libvirt.virDomainFree(handle) == 0;
}
